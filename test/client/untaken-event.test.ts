// Effects that report what their state does not take: the flow ends in `failed` and says which event it was.
// Must never run the real chart: it takes everything, so each test runs a copy with one arrow missing.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clientRunning } from '../../src/client/create-client.js'
import type { MppClient } from '../../src/index.js'
import { MUTANTS } from '../../src/testing/model/mutants.js'
import { chat, failureOf, type Stage, setStage, states } from './stage.js'

let stage: Stage
const plain = createServer((_, response) => response.end('free of charge'))
beforeAll(async () => {
  stage = await setStage()
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  plain.close()
  await stage?.stop()
})

/** A client whose chart lacks one arrow. Watched flows are XState actors, all others run by the tables. */
function clientWithout(transition: string, watched: boolean): MppClient {
  const mutant = MUTANTS.find(({ name }) => name === `drop ${transition}`)
  if (mutant === undefined) throw new Error(`there is no transition ${transition}`)
  const options = { account: stage.payer(), rpcUrl: stage.chain.rpcUrl }
  return clientRunning(mutant.machine(), { ...options, ...(watched && { inspect: () => undefined }) })
}

describe.each([
  ['by the tables', false],
  ['as an actor', true],
])('a flow that runs %s', (_, watched) => {
  it('ends in failed when a paid send is answered with a code that its state does not take', async () => {
    const gateway = await stage.gateway()
    gateway.inject('mpp_payer_not_allowed')
    const outcome = await clientWithout('paying mpp_payer_not_allowed', watched).pay(gateway.chat, chat(500))
    expect(states(outcome).at(-1)).toBe('failed')
    expect(failureOf(outcome).detail).toBe('the state does not take mpp_payer_not_allowed')
    // It was sent: what it carried may have been taken.
    expect(outcome.authorised.paidSends).toBe(1)
  })

  it('ends in failed when an answer is not taken because no guard allows it', async () => {
    const { port } = plain.address() as AddressInfo
    const url = `http://127.0.0.1:${port}/`
    const outcome = await clientWithout('requesting ANSWER_RECEIVED [otherwise]', watched).pay(url)
    expect(states(outcome)).toEqual(['requesting', 'failed'])
    expect(failureOf(outcome).detail).toBe('the state does not take ANSWER_RECEIVED')
  })

  it.each([
    ['authorizing.acquiringSession SESSION_ACQUIRED', 0],
    ['authorizing.openingSession OPEN_SIGNED', 0],
    ['verifyingReceipt RECEIPT_VERIFIED', 1],
  ])('ends in failed without %s', async (transition, paidSends) => {
    const gateway = await stage.gateway()
    const outcome = await clientWithout(transition, watched).pay(gateway.chat, chat(500))
    const [state = '', event = ''] = transition.split(' ')
    expect(states(outcome).slice(-2)).toEqual([state, 'failed'])
    expect(failureOf(outcome)).toMatchObject({ code: 'internal_error', detail: `the state does not take ${event}` })
    expect(outcome.authorised.paidSends).toBe(paidSends)
  })
})

describe('an event from outside that no state waits for', () => {
  it('is ignored, in every state of the flow', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer())
    const actor = mpp.createFlow(gateway.chat, chat(500))
    // Told of every event, also of one that is not taken: sends once in each state.
    const visited = new Set<string>()
    actor.subscribe(({ status, value }) => {
      const state = JSON.stringify(value)
      if (status !== 'active' || visited.has(state)) return
      visited.add(state)
      actor.send({ type: 'APPROVE' })
      actor.send({ type: 'DENY' })
    })
    actor.start()
    expect((await mpp.outcomeOf(actor)).status).toBe('succeeded')
    expect(visited.size).toBeGreaterThan(4)
  })

  it('is ignored when it comes twice', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer(), { policy: { approve: () => undefined } })
    const actor = mpp.createFlow(gateway.chat, chat(500))
    actor.subscribe((snapshot) => {
      if (!snapshot.matches({ authorizing: 'awaitingApproval' })) return
      actor.send({ type: 'APPROVE' })
      actor.send({ type: 'APPROVE' })
      actor.send({ type: 'DENY' })
    })
    actor.start()
    expect((await mpp.outcomeOf(actor)).status).toBe('succeeded')
  })
})
