// Servers that name things after what they were sent: voucher signatures, transactions, prompts, headers and queries.
// Must never look at a report of a made-up outcome: each name came over HTTP, in an answer to the request it repeats.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMppClient, describeFailure, memoryStore, type SessionStore, supportReport } from '../../src/index.js'
import { type Stage, setStage } from '../client/stage.js'
import { type Call, type HostileGateway, type Malice, startHostile, type Terms } from './gateway.js'

let stage: Stage
const gateways: HostileGateway[] = []
beforeAll(async () => {
  stage = await setStage(40)
})
afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.stop()))
  await stage?.stop()
})

const PROMPT = 'the heron keeps its own counsel 7f3a91'
const API_KEY = 'vk-live-0b1d5c77aa'
const QUERY_TOKEN = 'query token 55e1'

const init = (signal?: AbortSignal): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', 'x-api-key': API_KEY, 'x-request-id': 'trace-4f0c9b21aa77' },
  body: JSON.stringify({ model: 'small', messages: [{ role: 'user', content: PROMPT }] }),
  ...(signal && { signal }),
})

/** What of the last signed request a server may make a name of: the piece that fits a name. */
const PIECES: readonly [string, (call: Call) => string | undefined][] = [
  ['the prompt', () => PROMPT.replaceAll(' ', '-')],
  ['the prompt in capitals', () => PROMPT.replaceAll(' ', '_').toUpperCase()],
  ['a part of the prompt, between other things', () => `req-1.${PROMPT.replaceAll(' ', '').slice(4, 20)}.x`],
  ['the prompt in hex', () => Buffer.from(PROMPT).toString('hex')],
  ['the prompt in base64', () => Buffer.from(PROMPT).toString('base64')],
  ['the prompt in base64url, after something else', () => `r${Buffer.from(PROMPT).toString('base64url')}`],
  ['an API key', () => API_KEY],
  ['an API key in base64', () => Buffer.from(API_KEY).toString('base64')],
  ['a value of the query', () => QUERY_TOKEN.replaceAll(' ', '.')],
  ['the beginning of the signature', (call) => signatureOf(call)?.slice(0, 66)],
  ['the end of the signature, in capitals', (call) => signatureOf(call)?.slice(70).toUpperCase()],
  ['the signature in base64', (call) => base64Of(signatureOf(call))],
  ['a part of the signature in base64url', (call) => base64Of(signatureOf(call))?.slice(7, 40)],
  ['the credential, where the signature is in it', (call) => aroundSignature(call)],
]

function signatureOf({ credential }: Call): string | undefined {
  const { payload } = credential ?? {}
  return payload !== undefined && 'signature' in payload ? payload.signature : undefined
}

/** A hundred characters of the credential, as it was sent, from the middle of the signature on. */
function aroundSignature(call: Call): string | undefined {
  const token = call.headers.authorization?.slice('Payment '.length)
  const signature = signatureOf(call)
  if (token === undefined || signature === undefined) return undefined
  const at = Buffer.from(token, 'base64url').toString().indexOf(signature)
  return token.slice(Math.floor((at * 4) / 3) + 30).slice(0, 100)
}

function base64Of(hex: string | undefined): string | undefined {
  return hex === undefined ? undefined : Buffer.from(hex.slice(2), 'hex').toString('base64url')
}

/** Names everything after what it makes of the newest credential. */
async function reflecting(piece: (call: Call) => string | undefined): Promise<HostileGateway> {
  let name = 'honest-1'
  const malice: Malice = async (call, response, gateway) => {
    if (call.action !== 'unpaid') name = piece(call) ?? name
    response.setHeader('x-request-id', name)
    if (call.action === 'open') await gateway.broadcast(call)
    if (call.action !== 'unpaid') return gateway.deliver(call, response, { txHash: hashOf(name) })
    const challenge = gateway.challenge({ unitType: name } as Terms, { id: name, realm: name })
    response.writeHead(402, { 'content-type': 'application/json', 'www-authenticate': challenge })
    response.end(JSON.stringify({ error: { code: 'payment_required', request_id: name } }))
  }
  const gateway = await startHostile(stage.chain, malice)
  gateways.push(gateway)
  return gateway
}

/** A name as a transaction hash: its first bytes, if it has any in hex. */
function hashOf(name: string): `0x${string}` {
  const hex = /^0x([0-9a-f]{64})/i.exec(name)?.[1] ?? ''
  return `0x${hex.toLowerCase().padEnd(64, '0')}`
}

/** All that is shown of a payment, in one text. */
async function shownOf(gateway: HostileGateway, store: SessionStore, payer: ReturnType<Stage['payer']>) {
  const told: unknown[] = []
  const mpp = createMppClient({
    account: payer,
    store,
    rpcUrl: stage.chain.rpcUrl,
    // What goes to an inspector: events, and the context that they lead to.
    inspect: (event) => {
      if (event.type === '@xstate.event') told.push(event.event)
      if (event.type === '@xstate.snapshot' && 'context' in event.snapshot) told.push(event.snapshot.context)
    },
  })
  const outcome = await mpp.pay(`${gateway.chat}?access=${encodeURIComponent(QUERY_TOKEN)}`, init())
  const { response, ...rest } = outcome
  await response?.body?.cancel()
  const failed = outcome.status === 'failed' ? describeFailure(outcome.failure) : ''
  return { outcome, text: JSON.stringify([told, rest, supportReport(outcome), failed, await mpp.sessions.list()]) }
}

describe('names that repeat what was sent or signed', () => {
  it.each(PIECES)('%s: sent back as it came, and shown nowhere', async (_, piece) => {
    const gateway = await reflecting(piece)
    const store = memoryStore()
    const payer = stage.payer()
    await shownOf(gateway, store, payer)
    const newest = gateway.seen.at(-1)
    const name = newest === undefined ? undefined : piece(newest)
    if (name === undefined) throw new Error('nothing was signed')
    // Another process, which has signed nothing itself, and knows the voucher from the ledger alone.
    const { outcome, text } = await shownOf(gateway, store, payer)
    expect(outcome.status).toBe('succeeded')
    expect(gateway.seen.at(-1)?.credential?.challenge).toMatchObject({ id: name, realm: name })
    expect(text.toLowerCase()).not.toContain(name.toLowerCase())
    expect(text.toLowerCase()).not.toContain(name.slice(0, 24).toLowerCase())
    expect(outcome.references).toMatchObject({ challengeId: null })
    expect(outcome.receipt).toMatchObject({ challengeId: null })
  })

  it.each([
    ['one that is too long', 'a'.repeat(129)],
    ['one with spaces in it', 'see the attached page'],
    ['one that is beyond ASCII', 'réf-1'],
    ['one with markup', '<script>alert(1)</script>'],
  ])('%s is not shown either', async (_, name) => {
    const gateway = await reflecting(() => name)
    const store = memoryStore()
    const payer = stage.payer()
    await shownOf(gateway, store, payer)
    const { outcome, text } = await shownOf(gateway, store, payer)
    expect(outcome.status).toBe('succeeded')
    expect(text).not.toContain(name)
    expect(outcome.references).toMatchObject({ requestId: null, challengeId: null })
  })

  it('a code of its own that repeats the signature: it is refused, and the code is not shown', async () => {
    const payer = stage.payer()
    const gateway = await startHostile(stage.chain, (call, response, self) => {
      if (call.action === 'unpaid') return self.refuse(response, null)
      const code = `mpp_${signatureOf(call)?.slice(2, 60)}`
      response.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify({ error: { code } }))
    })
    gateways.push(gateway)
    const { outcome, text } = await shownOf(gateway, memoryStore(), payer)
    const signature = signatureOf(gateway.seen.at(-1) ?? never())
    expect(outcome).toMatchObject({
      status: 'failed',
      failure: { code: 'payment_rejected', detail: 'a code that repeats what was sent' },
    })
    expect(text).not.toContain(signature?.slice(2, 60))
  })
})

describe('names as servers have them', () => {
  it.each([
    ['an HMAC in base64url', 'qL8uZ3v0m1y7Y0G5m2o8p4r6s9tXwKcVbNdFhJlQzEA'],
    ['a UUID', '0b9f4c1e-8f6a-4e0e-9a3e-5f2c7d1b8a90'],
    ['a hash', `0x${'5c'.repeat(32)}`],
    ['a ULID', 'req_01HV6Z8X9K3QW5T7Y2B4C6D8EF'],
    ['the id that the caller gave', 'trace-4f0c9b21aa77'],
    ['a word', 'small'],
  ])('%s: shown', async (_, name) => {
    const gateway = await reflecting(() => name)
    const store = memoryStore()
    const payer = stage.payer()
    await shownOf(gateway, store, payer)
    const { outcome } = await shownOf(gateway, store, payer)
    expect(outcome).toMatchObject({
      status: 'succeeded',
      references: { requestId: name, challengeId: name },
      receipt: { challengeId: name },
    })
  })
})

function never(): never {
  throw new Error('this is missing')
}
