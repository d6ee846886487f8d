// Flows that are made and never started, or stopped: the client holds nothing of them, and their outcome is said.
// Must never count on the garbage collector's time: it is asked to collect, until it has or the test fails.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Actor } from 'xstate'
import { createMppClient, type MppClient } from '../../src/index.js'
import { chat, failureOf, paySome, type Stage, setStage } from './stage.js'

setFlagsFromString('--expose-gc')
const gc: () => void = runInNewContext('gc')

/** A body that tells of every copy that is taken of it. */
class CopiedBody extends Uint8Array<ArrayBuffer> {
  static readonly copies: WeakRef<Uint8Array>[] = []

  override slice(): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(this)
    CopiedBody.copies.push(new WeakRef(copy))
    return copy
  }
}

async function alive(): Promise<number> {
  // What a WeakRef was made of in this turn is kept to its end.
  await new Promise((resolve) => setImmediate(resolve))
  gc()
  return CopiedBody.copies.filter((copy) => copy.deref() !== undefined).length
}

const FLOWS = 3_000

function nowhere(): MppClient {
  return createMppClient({ account: privateKeyToAccount(generatePrivateKey()), rpcUrl: 'http://127.0.0.1:1' })
}

describe('a flow that is never started', () => {
  it.each([
    ['dropped', (): void => undefined],
    ['stopped before its start', (flow: ReturnType<MppClient['createFlow']>): void => void flow.stop()],
  ])('and %s leaves its body to the garbage collector, whatever signal it shares', async (_, end) => {
    CopiedBody.copies.length = 0
    const mpp = nowhere()
    const { signal } = new AbortController()
    const make = () => {
      const flow = mpp.createFlow('http://127.0.0.1:1/', {
        method: 'POST',
        body: new CopiedBody(new ArrayBuffer(1_000)),
        signal,
      })
      // Whoever asks for the outcome does not keep it either.
      mpp.outcomeOf(flow).catch(() => undefined)
      end(flow)
      return flow
    }
    let kept: unknown[] = Array.from({ length: 10 }, make)
    for (let made = kept.length; made < FLOWS; made += 1) make()
    expect(CopiedBody.copies).toHaveLength(FLOWS)
    // Those that somebody holds are there, so what is counted are bodies.
    await expect.poll(alive).toBe(10)
    expect(kept).toHaveLength(10)
    kept = []
    await expect.poll(alive).toBe(0)
    // The client and the signal lived all the while.
    expect(signal.aborted).toBe(false)
    expect(await mpp.sessions.list()).toEqual([])
  })
})

describe('the outcome of a flow', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage()
  })
  afterAll(() => stage?.stop())

  it('that was stopped before its start is cancelled, and nothing is sent, not even when it is started then', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer())
    const actor = mpp.createFlow(gateway.chat, chat(500))
    const asked = mpp.outcomeOf(actor)
    actor.stop()
    for (const outcome of [await asked, await mpp.outcomeOf(actor)]) {
      expect(failureOf(outcome)).toMatchObject({ code: 'cancelled', authorised: { paidSends: 0, deposit: '0' } })
      expect(outcome.response).toBeUndefined()
    }
    actor.start()
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    expect(gateway.seen.filter(({ credential }) => credential === undefined)).toHaveLength(1)
  })

  it('that was stopped while its paid request is under way is cancelled, and says that it was sent', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer())
    await paySome(mpp, gateway.chat, 1, () => chat(500))
    const actor = mpp.createFlow(gateway.chat, chat(500))
    actor.subscribe((snapshot) => {
      if (snapshot.matches('paying')) actor.stop()
    })
    actor.start()
    expect(failureOf(await mpp.outcomeOf(actor))).toMatchObject({ code: 'cancelled', authorised: { paidSends: 1 } })
    await paySome(mpp, gateway.chat, 1, () => chat(500))
  })

  it('that is not started yet is waited for, and says cancelled when its signal was aborted before', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer())
    const waiting = mpp.createFlow(gateway.chat, chat(500))
    const abort = new AbortController()
    const aborted = mpp.createFlow(gateway.chat, { ...chat(500), signal: abort.signal })
    abort.abort()
    const outcomes = [mpp.outcomeOf(waiting), mpp.outcomeOf(aborted)]
    expect(gateway.seen).toEqual([])
    waiting.start()
    aborted.start()
    const [first, second] = await Promise.all(outcomes)
    expect(first?.status).toBe('succeeded')
    expect(second).toMatchObject({ status: 'failed', failure: { code: 'cancelled' } })
  })

  it('of pay is cancelled when an inspector stops its actor', async () => {
    const gateway = await stage.gateway()
    const mpp = stage.client(stage.payer(), {
      inspect: ({ type, actorRef, rootId }) => {
        if (type === '@xstate.snapshot' && actorRef instanceof Actor && actorRef.sessionId === rootId) actorRef.stop()
      },
    })
    expect(failureOf(await mpp.pay(gateway.chat, chat(500))).code).toBe('cancelled')
  })
})
