// Which RPC is asked where the caller names none.
// Must never differ from what viem publishes for the same chain.

import { tempo, tempoModerato } from 'viem/chains'
import { describe, expect, it } from 'vitest'
import { PUBLIC_RPC } from '../../src/client/chain-clients.js'

describe('the public RPCs', () => {
  it('are those of viem’s own chains', () => {
    const published = [tempo, tempoModerato].map(({ id, rpcUrls }) => [String(id), rpcUrls.default.http[0]])
    expect(Object.entries(PUBLIC_RPC)).toEqual(published)
  })
})
