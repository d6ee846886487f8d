// Requests about a channel go to the very resource that is paid for: its URI with the query, by a method that it takes.
// Must never be satisfied with what the client believes: mppx's books and the chain say what was topped up and closed.
import { createServer } from 'node:http'
import { describe, expect, it } from 'vitest'
import { memoryStore, type SessionStore } from '../../src/index.js'
import type { MppxExchange } from './mppx-gateway.js'
import { prepareMeetings, settlementOf, tally, work } from './peer-stage.js'

const { stage, meet } = prepareMeetings()

/** As a framework routes that has the resource for reading only. */
const readOnly =
  (status = 405) =>
  ({ method }: MppxExchange): number | undefined =>
    method === 'GET' || method === 'HEAD' ? undefined : status

/** As a framework routes whose resource is another one without its query. */
const withChain = ({ target }: MppxExchange): number | undefined =>
  target.startsWith('/work?chain=tempo&key=') ? undefined : 404

const asked = (seen: readonly MppxExchange[]) => seen.map(({ kind, method }) => `${kind} ${method}`)

/** What a record of a version looked like that did not keep how a resource is asked. */
async function forgetAccess(store: SessionStore): Promise<void> {
  for (const { key } of await store.list()) {
    await store.update(key, (record) =>
      record === undefined ? undefined : { ...record, secrets: { ...record.secrets, resource: null } },
    )
  }
}

describe('a resource that takes no POST', () => {
  it('answers 405 to it, and is topped up and closed by GET, as it is paid', async () => {
    const { gateway, mpp, pay, close, gains } = await meet({ suggestedDeposit: '0.2', refuses: readOnly() })
    for (let at = 0; at < 3; at += 1) expect(await pay({ method: 'GET' })).toMatchObject({ status: 'succeeded' })
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '400000', pending: null }])
    expect(settlementOf(await close())).toMatchObject({ settled: '300000', refunded: '100000' })
    expect(tally(asked(gateway.seen))).toEqual({
      'unpaid GET': 4,
      'open GET': 1,
      'voucher GET': 2,
      'topUp GET': 1,
      'close GET': 1,
    })
    expect(gateway.served()).toBe(3)
    expect(await gains()).toEqual({ payer: -300_000n, payee: 300_000n, reserve: 0n })
  })

  it.each([404, 405, 501])(
    'answers %i to it, and is closed by HEAD when nothing is known of its method',
    async (code) => {
      const store = memoryStore()
      const { gateway, pay, close } = await meet({
        suggestedDeposit: '0.2',
        refuses: readOnly(code),
        client: { store },
      })
      expect(await pay({ method: 'GET' })).toMatchObject({ status: 'succeeded' })
      await forgetAccess(store)
      const before = gateway.seen.length
      expect(settlementOf(await close())).toMatchObject({ settled: '100000', refunded: '100000' })
      expect(asked(gateway.seen.slice(before))).toEqual(['unpaid POST', 'unpaid HEAD', 'close HEAD'])
    },
  )

  it('takes one with a body alone, and is topped up and closed by HEAD', async () => {
    // A framework that refuses a POST without a body before mppx gets it.
    const bare = new Set(['topUp', 'close'])
    const { gateway, paySome, close } = await meet({
      suggestedDeposit: '0.2',
      refuses: ({ kind, method }) => (bare.has(kind) && method === 'POST' ? 405 : undefined),
    })
    await paySome(3)
    expect(settlementOf(await close())).toMatchObject({ settled: '300000', refunded: '100000' })
    expect(asked(gateway.seen).filter((text) => /topUp|close/.test(text))).toEqual([
      'topUp POST',
      'topUp HEAD',
      'close POST',
      'close HEAD',
    ])
    expect(gateway.served()).toBe(3)
  })

  it('is never asked by HEAD while it takes POST', async () => {
    const { gateway, paySome, close } = await meet({ suggestedDeposit: '0.2' })
    await paySome(3)
    settlementOf(await close())
    expect(new Set(gateway.seen.map(({ method }) => method))).toEqual(new Set(['POST']))
  })
})

describe('a resource that takes no request without a body', () => {
  // A framework that parses the body before mppx gets the request.
  it.each([400, 411, 415, 422])('answers %i, and is topped up with the bytes of the request', async (code) => {
    const { gateway, mpp, payer, paySome, channelId } = await meet({
      suggestedDeposit: '0.2',
      refuses: ({ method, length }) => (method === 'POST' && length === 0 ? code : undefined),
    })
    await paySome(2)
    const signed = payer.signatures()
    await paySome(1)
    // The top-up, once, and the voucher.
    expect(payer.signatures() - signed).toBe(2)
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '400000', pending: null }])
    const topUps = gateway.seen.filter(({ kind }) => kind === 'topUp')
    expect(topUps.map(({ method, length }) => `${method} ${length}`)).toEqual([
      'POST 0',
      `POST ${String(work().body).length}`,
    ])
    expect(new Set(topUps.map(({ credential }) => JSON.stringify(credential?.payload)))).toHaveLength(1)
    expect(gateway.served()).toBe(3)
    const [channel] = await gateway.channels()
    expect(channel).toMatchObject({ channelId: await channelId(), spent: 300_000n, deposit: 400_000n })
  })

  it('and none with one either, gets the top-up twice, and nothing new is signed for the next request', async () => {
    const { gateway, mpp, payer, pay, paySome } = await meet({
      suggestedDeposit: '0.2',
      refuses: ({ kind }) => (kind === 'topUp' ? 400 : undefined),
    })
    await paySome(2)
    expect(await pay()).toMatchObject({ status: 'failed' })
    const signed = payer.signatures()
    expect(gateway.seen.filter(({ kind }) => kind === 'topUp')).toHaveLength(2)
    expect(await mpp.sessions.list()).toMatchObject([{ status: 'toppingUp', deposit: '200000', pending: 'topUp' }])
    expect(await pay()).toMatchObject({ status: 'failed' })
    expect(payer.signatures()).toBe(signed)
    expect(gateway.served()).toBe(2)
  })
})

describe('the query of a resource', () => {
  it.each(['GET', 'POST'])('is part of it for the top-up and the close of one that is asked by %s', async (method) => {
    const { gateway, mpp, close } = await meet({ suggestedDeposit: '0.2', refuses: withChain })
    const target = '/work?chain=tempo&key=s3cr3t%20key'
    const url = new URL(target, gateway.url)
    for (let at = 0; at < 3; at += 1) {
      const outcome = await mpp.pay(url, method === 'GET' ? {} : work())
      expect(outcome).toMatchObject({ status: 'succeeded' })
    }
    const [session] = await mpp.sessions.list()
    expect(session).toMatchObject({ deposit: '400000', resource: gateway.url })
    expect(settlementOf(await close())).toMatchObject({ settled: '300000', refunded: '100000' })
    expect(tally(gateway.seen.map(({ kind }) => kind))).toMatchObject({ topUp: 1, close: 1 })
    expect(new Set(gateway.seen.map((exchange) => exchange.target))).toEqual(new Set([target]))
  })

  it('is found again by another process, and kept out of all that is shown', async () => {
    const store = memoryStore()
    const inspected: unknown[] = []
    const { gateway, payer, mpp } = await meet({
      suggestedDeposit: '0.2',
      refuses: withChain,
      client: {
        store,
        inspect: (event) => inspected.push(event.type === '@xstate.snapshot' ? event.snapshot : event.type),
      },
    })
    const url = `${gateway.url}?chain=tempo&key=s3cr3t`
    const paid = [await mpp.pay(url), await mpp.pay(url), await mpp.pay(url)]
    const [session] = await mpp.sessions.list()
    const other = stage().client(payer.account, { store })
    const closed = await other.sessions.close(session?.channelId ?? '')
    expect(settlementOf(closed)).toMatchObject({ settled: '300000' })
    const shown = JSON.stringify([
      paid,
      closed,
      inspected,
      session,
      await other.sessions.list(),
      await other.sessions.totals(),
    ])
    expect(inspected.length).toBeGreaterThan(0)
    expect(shown).not.toContain('s3cr3t')
    expect(shown).not.toContain('chain=tempo')
    // The ledger has it where the vouchers are, and nowhere else.
    const [record] = await store.list()
    expect(record?.secrets.resource).toEqual({ method: 'GET', query: '?chain=tempo&key=s3cr3t' })
    expect(JSON.stringify({ ...record, secrets: null })).not.toContain('s3cr3t')
  })

  it('is the one of the URL that a close is given', async () => {
    const { gateway, mpp, channelId } = await meet({ suggestedDeposit: '0.2', refuses: withChain })
    expect(await mpp.pay(`${gateway.url}?chain=tempo&key=old`)).toMatchObject({ status: 'succeeded' })
    const url = new URL(`${gateway.url}?chain=tempo&key=new`)
    expect(settlementOf(await mpp.sessions.close(await channelId(), { url }))).toMatchObject({ settled: '100000' })
    expect(gateway.seen.at(-1)).toMatchObject({ kind: 'close', method: 'GET', target: '/work?chain=tempo&key=new' })
  })
})

describe('an answer to a top-up or a close by GET', () => {
  it('that goes on for ever is not waited for, nor its connection kept', async () => {
    const { gateway, mpp, pay, channelId } = await meet({ suggestedDeposit: '0.2' })
    expect(await pay({ method: 'GET' })).toMatchObject({ status: 'succeeded' })
    const endings: Promise<void>[] = []
    // In front of mppx: what it answers without content comes with a stream that does not end.
    const hop = createServer((incoming, outgoing) => {
      const headers = new Headers(
        Object.entries(incoming.headers).flatMap(([name, value]) =>
          typeof value === 'string' && name !== 'host' && name !== 'connection'
            ? [[name, value] as [string, string]]
            : [],
        ),
      )
      fetch(gateway.url, { method: incoming.method ?? 'GET', headers }).then(
        async (answer) => {
          const fields = Object.fromEntries(answer.headers)
          if (answer.status !== 204) {
            outgoing.writeHead(answer.status, { ...fields, connection: 'close' })
            outgoing.end(await answer.text())
            return
          }
          endings.push(new Promise((resolve) => outgoing.once('close', resolve)))
          outgoing.writeHead(200, { ...fields, 'content-type': 'text/event-stream' })
          outgoing.write('data: one\n\n')
        },
        () => outgoing.destroy(),
      )
    })
    await new Promise<void>((resolve) => hop.listen(0, '127.0.0.1', resolve))
    try {
      const address = hop.address()
      if (address === null || typeof address === 'string') throw new Error('the hop has no port')
      const url = `http://127.0.0.1:${address.port}/work`
      for (let at = 0; at < 2; at += 1) expect(await mpp.pay(url)).toMatchObject({ status: 'succeeded' })
      expect(await mpp.sessions.list()).toMatchObject([{ status: 'open', deposit: '400000' }])
      const id = await channelId()
      await Promise.all(endings)
      expect(endings).toHaveLength(1)
      const closed = await mpp.sessions.close(id, { url })
      expect(settlementOf(closed)).toMatchObject({ settled: '300000' })
      await Promise.all(endings)
      expect(endings).toHaveLength(2)
      // The head is all of it that there is.
      expect(closed.response?.status).toBe(200)
    } finally {
      hop.closeAllConnections()
      hop.close()
    }
  })
})
