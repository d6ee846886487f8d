// Options that are on a prototype and not on what was given: another script of the page may have put them there.
// Must never leave them there: every other test of the process would run with them.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { resolvePolicy } from '../../src/client/policy.js'
import { createMppClient } from '../../src/index.js'
import { chat, counted, failureOf, type Stage, setStage } from '../client/stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage(5)
})
afterAll(() => stage?.stop())

const WIDER: Readonly<Record<string, unknown>> = {
  maxDeposit: '1000',
  maxCumulative: '1000',
  maxTotalDeposit: '1000',
  maxExposure: '1000',
  allowedOrigins: ['http://127.0.0.1:1'],
  authenticatedOrigins: ['http://127.0.0.1:1'],
  allowedChains: [1],
  allowedTokens: [`0x${'1'.repeat(40)}`],
  allowedPayees: [`0x${'1'.repeat(40)}`],
  allowedOperators: [`0x${'1'.repeat(40)}`],
  allowedEscrows: [`0x${'1'.repeat(40)}`],
  attempts: { CONNECTION_FAILED: 99 },
  timeouts: { leaseMs: 1_000 },
  paidMs: 1,
  leaseMs: 1_000,
  approve: () => true,
  retryCommitFailed: true,
  resendPaid: true,
  strategy: () => '1000000000',
  policy: { maxDeposit: '1000' },
}

/** Runs with all of that on every object. */
async function polluted<T>(work: () => T): Promise<Awaited<T>> {
  for (const [name, value] of Object.entries(WIDER))
    Object.defineProperty(Object.prototype, name, { value, configurable: true, writable: true })
  try {
    return await work()
  } finally {
    for (const name of Object.keys(WIDER)) Reflect.deleteProperty(Object.prototype, name)
  }
}

describe('a prototype with wider options on it', () => {
  it.each([
    ['no policy', undefined],
    ['an empty one', {}],
    ['one of its own', { maxDeposit: '1', timeouts: { unpaidMs: 5 } }],
  ])('changes nothing about %s', async (_, policy) => {
    const before = resolvePolicy(policy)
    expect(await polluted(() => resolvePolicy(policy))).toEqual(before)
  })

  it('makes no client deposit or sign more', async () => {
    const gateway = await stage.gateway({ bucket: '3', suggestedDeposit: '900' })
    const payer = counted(stage.payer())
    const mpp = await polluted(() => createMppClient({ account: payer.account, rpcUrl: stage.chain.rpcUrl }))
    const failure = failureOf(await mpp.pay(gateway.chat, chat(500)))
    expect(failure).toMatchObject({ code: 'limit_exceeded', limit: 'maxExposure' })
    expect(payer.signatures()).toBe(0)
  })
})
