// A challenge that is bound to a body is not answered by a request without it: a top-up asks for one of its own.
// Must never be satisfied with a top-up that came through: which challenge it answers, with which bytes, is read off the wire.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  encodeSessionRequest,
  formatChallenge,
  formatDigest,
  parseChallenges,
  parseCredential,
  parseDigest,
  parseSessionRequest,
  sameBytes,
  sha256,
} from '../../src/protocol/index.js'
import { type PassingAnswer, type RunningProxy, startProxy } from './proxy.js'
import { chat, header, paySome, type Seen, type Stage, setStage, type WatchedGateway } from './stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

const actions = (seen: readonly Seen[]) => seen.map(({ credential }) => credential?.payload.action ?? 'unpaid')

/** Whether the challenge that a credential answers is bound to the bytes that it came with. */
async function isBound({ body, credential }: Seen): Promise<boolean> {
  const digest = parseDigest(credential?.challenge.digest ?? '')
  return digest.ok && sameBytes(digest.value, await sha256(body))
}

interface Hop {
  readonly gateway: WatchedGateway
  readonly proxy: RunningProxy
  /** What the gateway saw of the request that needs a top-up. */
  readonly seen: readonly Seen[]
  readonly body: string
}

/** Pays until a top-up is needed, through a hop that may change the answer to the question for a challenge. */
async function toppedUp(answer: (passing: PassingAnswer) => void = () => undefined): Promise<Hop> {
  const gateway = await stage.gateway({ suggestedDeposit: '1' })
  const proxy = await startProxy(gateway.url, {
    answer: (passing) => {
      const { paid, body } = passing.request
      if (!paid && body.length === 0) answer(passing)
    },
  })
  try {
    const url = `${proxy.url}/v1/mpp/chat/completions`
    const mpp = stage.client(stage.payer(), { policy: { maxDeposit: '20' } })
    await paySome(mpp, url, 1, () => chat(4_000))
    const before = gateway.seen.length
    const request = chat(2_000)
    expect(await mpp.pay(url, request)).toMatchObject({ status: 'succeeded' })
    expect(gateway.accounting().counts).toMatchObject({ opens: 1, topUps: 1 })
    expect(gateway.accounting().channels).toMatchObject([{ deposit: '2000000' }])
    return { gateway, proxy, seen: gateway.seen.slice(before), body: String(request.body) }
  } finally {
    await proxy.stop()
  }
}

describe('a top-up whose challenge is bound to the body of the request', () => {
  it('answers one that is bound to no body, and has none', async () => {
    const { seen } = await toppedUp()
    expect(actions(seen)).toEqual(['unpaid', 'voucher', 'unpaid', 'topUp', 'voucher'])
    const [, , question, topUp, voucher] = seen
    if (question === undefined || topUp === undefined || voucher === undefined) throw new Error('too few sends')
    expect([question.method, question.body.length, topUp.method, topUp.body.length]).toEqual(['POST', 0, 'POST', 0])
    for (const name of ['content-type', 'idempotency-key']) {
      expect([header(question, name), header(topUp, name)]).toEqual([undefined, undefined])
    }
    expect(await Promise.all([topUp, voucher].map(isBound))).toEqual([true, true])
    expect(topUp.credential?.challenge.id).not.toBe(voucher.credential?.challenge.id)
  })

  it.each([
    ['refuses to price a request without a body', 400, '{"error":{"code":"mpp_request_quote_invalid"}}'],
    ['answers a request without a body for nothing', 200, '{}'],
    ['breaks over a request without a body', 500, ''],
  ])('goes out with the very bytes to a gateway that %s', async (_, status, text) => {
    const { seen, body, proxy } = await toppedUp((passing) => {
      passing.status = status
      passing.headers.delete('www-authenticate')
      passing.body = new TextEncoder().encode(text)
    })
    expect(actions(seen)).toEqual(['unpaid', 'voucher', 'unpaid', 'topUp', 'voucher'])
    const topUp = seen[3]
    if (topUp === undefined) throw new Error('there is no top-up')
    expect(new TextDecoder().decode(topUp.body)).toBe(body)
    expect(await isBound(topUp)).toBe(true)
    expect(header(topUp, 'content-type')).toBe('application/json')
    // Its answer is not the answer to the request.
    expect(header(topUp, 'idempotency-key')).toBeUndefined()
    // HEAD is for resources that say that they do not take the method.
    expect(new Set(proxy.seen.map(({ method }) => method))).toEqual(new Set(['POST']))
  })

  it.each([
    ['in a token that the policy forbids', { currency: `0x20c0${'f'.repeat(36)}` as const }],
    ['for another payee, whose channel is another', { recipient: `0x${'ab'.repeat(20)}` as const }],
  ])('does not answer one %s', async (_, change) => {
    const { seen } = await toppedUp(({ headers }) => {
      const list = parseChallenges(headers.get('www-authenticate'))
      const challenge = list.ok ? list.value.challenges[0] : undefined
      const terms = challenge === undefined ? undefined : parseSessionRequest(challenge)
      if (challenge === undefined || terms?.ok !== true) throw new Error('the sandbox gave no challenge')
      const request = encodeSessionRequest({ ...terms.value, ...change })
      headers.set('www-authenticate', formatChallenge({ ...challenge, request }))
    })
    const [, , question, topUp] = seen
    expect(question?.body).toHaveLength(0)
    expect(topUp?.body.length).toBeGreaterThan(0)
    expect(topUp === undefined ? false : await isBound(topUp)).toBe(true)
  })

  it('does not answer one that has expired, or that is for other bytes', async () => {
    const other = formatDigest(new Uint8Array(32))
    for (const change of [{ expires: '2020-01-01T00:00:00Z' }, { digest: other }]) {
      const { seen } = await toppedUp(({ headers }) => {
        const list = parseChallenges(headers.get('www-authenticate'))
        const challenge = list.ok ? list.value.challenges[0] : undefined
        if (challenge === undefined) throw new Error('the sandbox gave no challenge')
        headers.set('www-authenticate', formatChallenge({ ...challenge, ...change }))
      })
      expect(seen[3]?.body.length).toBeGreaterThan(0)
    }
  })
})

describe('a strict gateway', () => {
  it.each(['topUp', 'close'] as const)('refuses a %s whose challenge is bound to other bytes', async (action) => {
    const gateway = await stage.gateway({ suggestedDeposit: '1' })
    // On the way the bytes are lost, or some come to it.
    const proxy = await startProxy(gateway.url, {
      request: (request) => {
        const credential = parseCredential(request.headers.get('authorization'))
        if (credential.ok && credential.value.payload.action === action) request.body = new TextEncoder().encode('{}')
      },
    })
    try {
      const url = `${proxy.url}/v1/mpp/chat/completions`
      const mpp = stage.client(stage.payer(), {
        policy: { maxDeposit: '20', attempts: { mpp_body_digest_mismatch: 0 } },
      })
      await paySome(mpp, url, 1, () => chat(4_000))
      const [session] = await mpp.sessions.list()
      const outcome =
        action === 'topUp' ? await mpp.pay(url, chat(2_000)) : await mpp.sessions.close(session?.channelId ?? '')
      expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'mpp_body_digest_mismatch' } })
      expect(gateway.accounting().counts).toMatchObject({ topUps: 0, closes: 0 })
    } finally {
      await proxy.stop()
    }
  })
})
