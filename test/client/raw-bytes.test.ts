// What goes over the wire: the paid send is the unpaid send, byte for byte, with a credential.
// Must never look at the client's own idea of what it sent: only the gateway's raw bytes count.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chat, header, type Seen, type Stage, setStage, type WatchedGateway } from './stage.js'

let stage: Stage
let gateway: WatchedGateway

beforeAll(async () => {
  stage = await setStage()
  gateway = await stage.gateway({ otherBodyPrice: '0.001' })
})
afterAll(() => stage?.stop())

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const withoutAuthorization = ({ headers }: Seen) => headers.filter(([name]) => name.toLowerCase() !== 'authorization')

/** Pays once with a payer of its own and gives back the two sends of the flow. */
async function sends(input: string | Request, init?: RequestInit): Promise<{ unpaid: Seen; paid: Seen }> {
  const before = gateway.seen.length
  const outcome = await stage.client(stage.payer()).pay(input, init)
  expect(outcome.status).toBe('succeeded')
  expect(outcome.response?.status).toBe(200)
  const [unpaid, paid, ...more] = gateway.seen.slice(before)
  expect(more).toEqual([])
  if (unpaid === undefined || paid === undefined) throw new Error('the gateway saw fewer than two requests')
  return { unpaid, paid }
}

/** The content type that fetch itself sets for the same request. */
async function contentTypeOfFetch(input: string | Request, init?: RequestInit): Promise<string | undefined> {
  await fetch(input, init)
  const last = gateway.seen.at(-1)
  return last === undefined ? undefined : header(last, 'content-type')
}

const NOT_UTF8 = Uint8Array.from([0, 255, 254, 128, 10, 13, 0, 7])
const NON_ASCII = '{"note":"żółć ☂ \u0000"}'

function form(): FormData {
  const data = new FormData()
  data.append('note', 'one two\r\nthree')
  data.append('file', new File([NOT_UTF8], 'bytes "quoted".bin', { type: 'application/x-thing' }))
  return data
}

function stream(): ReadableStream<Uint8Array> {
  const chunks = [NOT_UTF8, new TextEncoder().encode(NON_ASCII), NOT_UTF8]
  return new ReadableStream({
    async pull(controller) {
      const chunk = chunks.shift()
      if (chunk === undefined) return controller.close()
      // Chunks that come late must not be left out.
      await new Promise((resolve) => setTimeout(resolve, 5))
      controller.enqueue(chunk)
    },
  })
}

const joined = new Uint8Array([...NOT_UTF8, ...new TextEncoder().encode(NON_ASCII), ...NOT_UTF8])
const view = new Uint8Array([9, 9, ...NOT_UTF8, 9]).subarray(2, 2 + NOT_UTF8.length)

const BODIES: readonly {
  readonly name: string
  readonly body: () => NonNullable<RequestInit['body']>
  readonly bytes?: Uint8Array
  readonly contentType: string | undefined
}[] = [
  {
    name: 'string',
    body: () => NON_ASCII,
    bytes: new TextEncoder().encode(NON_ASCII),
    contentType: 'text/plain;charset=UTF-8',
  },
  { name: 'Uint8Array', body: () => NOT_UTF8, bytes: NOT_UTF8, contentType: undefined },
  { name: 'Uint8Array that is a view', body: () => view, bytes: NOT_UTF8, contentType: undefined },
  { name: 'ArrayBuffer', body: () => NOT_UTF8.slice().buffer, bytes: NOT_UTF8, contentType: undefined },
  { name: 'DataView', body: () => new DataView(NOT_UTF8.slice().buffer), bytes: NOT_UTF8, contentType: undefined },
  {
    name: 'Blob with a type',
    body: () => new Blob([NOT_UTF8], { type: 'image/png' }),
    bytes: NOT_UTF8,
    contentType: 'image/png',
  },
  { name: 'Blob without a type', body: () => new Blob([NOT_UTF8]), bytes: NOT_UTF8, contentType: undefined },
  {
    name: 'URLSearchParams',
    body: () => new URLSearchParams({ q: 'a b&c', more: 'ü' }),
    bytes: new TextEncoder().encode('q=a+b%26c&more=%C3%BC'),
    contentType: 'application/x-www-form-urlencoded;charset=UTF-8',
  },
]

describe('the paid send repeats the unpaid one', () => {
  it.each(BODIES)('for a $name', async ({ body, bytes, contentType }) => {
    const { unpaid, paid } = await sends(gateway.chat, { method: 'POST', body: body() })
    expect(unpaid.body).toEqual(bytes)
    expect(paid.body).toEqual(bytes)
    expect(paid.method).toBe(unpaid.method)
    expect(paid.url).toBe(unpaid.url)
    expect(withoutAuthorization(paid)).toEqual(unpaid.headers)
    expect(unpaid.authorization).toBeUndefined()
    expect(paid.credential).toBeDefined()
    expect(header(unpaid, 'content-type')).toBe(contentType)
    expect(await contentTypeOfFetch(gateway.chat, { method: 'POST', body: body() })).toBe(contentType)
  })

  it('for FormData with a file, whose boundary is drawn once', async () => {
    const { unpaid, paid } = await sends(gateway.chat, { method: 'POST', body: form() })
    expect(paid.body).toEqual(unpaid.body)
    expect(withoutAuthorization(paid)).toEqual(unpaid.headers)
    const boundary = /^multipart\/form-data; boundary=(\S+)$/.exec(header(unpaid, 'content-type') ?? '')?.[1]
    expect(boundary).toBeDefined()
    const parts = text(unpaid.body).split(`--${boundary}`)
    expect(parts).toHaveLength(4)
    expect(parts[2]).toContain('Content-Type: application/x-thing')
    const read = await new Response(unpaid.body.slice(), {
      headers: { 'content-type': header(unpaid, 'content-type') ?? '' },
    }).formData()
    expect(read.get('note')).toBe('one two\r\nthree')
    const file = read.get('file')
    if (!(file instanceof File)) throw new Error('the file did not arrive')
    expect(new Uint8Array(await file.arrayBuffer())).toEqual(NOT_UTF8)
    const ofFetch = await contentTypeOfFetch(gateway.chat, { method: 'POST', body: form() })
    expect(ofFetch).toMatch(/^multipart\/form-data; boundary=\S+$/)
  })

  it('for a ReadableStream, which can be read only once', async () => {
    const init = { method: 'POST', body: stream(), duplex: 'half' } as const
    const { unpaid, paid } = await sends(gateway.chat, init)
    expect(unpaid.body).toEqual(joined)
    expect(paid.body).toEqual(joined)
    expect(withoutAuthorization(paid)).toEqual(unpaid.headers)
    expect(header(unpaid, 'content-type')).toBeUndefined()
  })

  it('for a ReadableStream without the duplex option, which not every caller knows', async () => {
    const { unpaid, paid } = await sends(gateway.chat, { method: 'POST', body: stream() })
    expect(unpaid.body).toEqual(joined)
    expect(paid.body).toEqual(joined)
  })

  it('for a Request with a body, and for one whose init overrides it', async () => {
    const request = () =>
      new Request(`${gateway.chat}?turn=1`, { method: 'POST', headers: { 'x-app': 'a' }, body: NOT_UTF8 })
    const plain = await sends(request())
    expect(plain.unpaid.body).toEqual(NOT_UTF8)
    expect(plain.paid.body).toEqual(NOT_UTF8)
    expect(plain.paid.url).toBe('/v1/mpp/chat/completions?turn=1')
    expect(withoutAuthorization(plain.paid)).toEqual(plain.unpaid.headers)
    expect(header(plain.paid, 'x-app')).toBe('a')

    const overridden = await sends(request(), { body: NON_ASCII, headers: { 'x-app': 'b' } })
    expect(text(overridden.unpaid.body)).toBe(NON_ASCII)
    expect(overridden.paid.body).toEqual(overridden.unpaid.body)
    expect(header(overridden.paid, 'x-app')).toBe('b')
    expect(header(overridden.paid, 'content-type')).toBe('text/plain;charset=UTF-8')
  })

  it('for a Request that carries a form', async () => {
    const { unpaid, paid } = await sends(new Request(gateway.chat, { method: 'POST', body: form() }))
    expect(paid.body).toEqual(unpaid.body)
    expect(withoutAuthorization(paid)).toEqual(unpaid.headers)
    expect(header(unpaid, 'content-type')).toMatch(/^multipart\/form-data; boundary=/)
  })

  it('whatever the caller does to its own buffer meanwhile', async () => {
    const mine = NOT_UTF8.slice()
    const before = gateway.seen.length
    const paying = stage.client(stage.payer()).pay(gateway.chat, { method: 'POST', body: mine })
    mine.fill(1)
    expect((await paying).status).toBe('succeeded')
    expect(gateway.seen.slice(before).map(({ body }) => body)).toEqual([NOT_UTF8, NOT_UTF8])
  })

  it('through every send of a flow that has to refresh its voucher and top up', async () => {
    const small = await stage.gateway({ bucket: '1', suggestedDeposit: '1' })
    const mpp = stage.client(stage.payer())
    await mpp.pay(small.chat, chat(3000))
    const before = small.seen.length
    const init = { ...chat(3000), headers: { 'content-type': 'application/json', 'x-app': 'a' } }
    const outcome = await mpp.pay(`${small.chat}?turn=2`, init)
    expect(outcome.status).toBe('succeeded')
    const sent = small.seen.slice(before)
    const content = sent.filter(({ body }) => body.length > 0)
    expect(content.map(({ credential }) => credential?.payload.action)).toEqual([undefined, 'voucher', 'voucher'])
    for (const send of content) {
      expect(text(send.body)).toBe(init.body)
      expect(send.url).toBe('/v1/mpp/chat/completions?turn=2')
      expect(withoutAuthorization(send)).toEqual(content[0]?.headers)
    }
    const topUps = sent.filter(({ credential }) => credential?.payload.action === 'topUp')
    expect(topUps).toHaveLength(1)
  })
})

describe('Idempotency-Key', () => {
  it('is one per flow, and another for the next flow', async () => {
    const first = await sends(gateway.chat, chat(6))
    const second = await sends(gateway.chat, chat(6))
    const keys = [first.unpaid, first.paid, second.unpaid, second.paid].map((sent) => header(sent, 'idempotency-key'))
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/)
    expect(keys[1]).toBe(keys[0])
    expect(keys[3]).toBe(keys[2])
    expect(keys[2]).not.toBe(keys[0])
  })

  it('is the caller’s own when there is one', async () => {
    const { unpaid, paid } = await sends(gateway.chat, {
      ...chat(6),
      headers: { 'content-type': 'application/json', 'Idempotency-Key': 'mine-1' },
    })
    expect(header(unpaid, 'idempotency-key')).toBe('mine-1')
    expect(header(paid, 'idempotency-key')).toBe('mine-1')
  })
})

describe('the two kinds of Authorization', () => {
  const bearer = 'Bearer vk-sandbox-valid'

  it.each([
    ['an object', { authorization: bearer, 'content-type': 'application/json' }],
    ['pairs', [['AUTHORIZATION', bearer]] as [string, string][]],
    ['Headers', new Headers({ Authorization: bearer })],
  ])('never sends a Bearer key to the paid route, given as %s', async (_name, headers) => {
    const { unpaid, paid } = await sends(gateway.chat, { ...chat(6), headers })
    for (const sent of [unpaid, paid]) {
      expect(JSON.stringify(sent.headers).includes('vk-sandbox')).toBe(false)
    }
    expect(unpaid.authorization).toBeUndefined()
  })

  it('never sends a Bearer key of a Request to the paid route', async () => {
    const { unpaid, paid } = await sends(new Request(gateway.chat, { ...chat(6), headers: { authorization: bearer } }))
    expect(JSON.stringify([unpaid.headers, paid.headers]).includes('vk-sandbox')).toBe(false)
  })

  it('does send it to the account-owned routes, and pays nothing there', async () => {
    const mpp = stage.client(stage.payer())
    const before = gateway.seen.length
    const init = { ...chat(20), headers: { authorization: bearer, 'content-type': 'application/json' } }
    const answered = await mpp.fetch(`${gateway.url}/v1/chat/completions`, init)
    const models = await mpp.fetch(`${gateway.url}/v1/models`, { headers: { authorization: bearer } })
    expect([answered.status, models.status]).toEqual([200, 200])
    const sent = gateway.seen.slice(before)
    expect(sent.map(({ authorization }) => authorization)).toEqual([bearer, bearer])
    expect(sent.map(({ method, url }) => `${method} ${url}`)).toEqual(['POST /v1/chat/completions', 'GET /v1/models'])
  })

  it('does send it to the account-owned route of a single model', async () => {
    const mpp = stage.client(stage.payer())
    const model = await mpp.fetch(`${gateway.url}/v1/models/sandbox-small`, { headers: { authorization: bearer } })
    expect(model.status).toBe(200)
    expect(gateway.seen.at(-1)?.authorization).toBe(bearer)
  })

  it('never takes a payment credential of the caller’s to an account-owned route', async () => {
    const mpp = stage.client(stage.payer())
    const headers = { authorization: 'Payment eyJ9' }
    const answer = await mpp.fetch(`${gateway.url}/v1/models`, { headers })
    expect(answer.status).toBe(401)
    expect(gateway.seen.at(-1)?.authorization).toBeUndefined()
  })
})
