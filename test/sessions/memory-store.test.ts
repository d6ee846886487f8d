// Puts the memory store through the contract of every store.
// Must never test more than the contract here: what only this store can do is nobody's business.

import { memoryStore } from '../../src/sessions/index.js'
import { describeStore } from './store-contract.js'

describeStore('memory', async () => {
  let now = 1_000_000
  return {
    store: memoryStore({ now: () => now }),
    pass: async (ms) => {
      now += ms
    },
  }
})
