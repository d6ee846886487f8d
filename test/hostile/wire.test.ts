// Servers that attack the connection: too much, too slow, never, in pieces, and in ways that HTTP does not know.
// Must never wait for a default timeout: each test says how long the caller would wait, and holds the client to it.
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { createGzip } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Policy } from '../../src/index.js'
import { chat, counted, failureOf, type Stage, setStage } from '../client/stage.js'
import { afterOpening, attack, codeOf } from './attack.js'
import { type HostileGateway, type Malice, startHostile } from './gateway.js'
import { roomyFetch } from './roomy-fetch.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage(80)
})
afterAll(() => stage?.stop())

const BUCKET = 1_000_000n
const REFRESH = 'mpp_voucher_bucket_refresh_required'
const MB = 1_000_000
/** How long these callers wait; the defaults are a minute, and ten for a paid answer. */
const IMPATIENT: Policy = { timeouts: { unpaidMs: 400 } }
/** For what comes after an open, which a busy machine needs time for. */
const LESS_PATIENT: Policy = { timeouts: { paidMs: 3_000, topUpMs: 3_000, closeMs: 3_000 } }
/** Three unpaid sends of 400 ms and two pauses between them, with room for a busy machine. */
const SOON_MS = 45_000

/** Writes `bytes` in pieces of 64 KB, as fast as they are taken and no faster. Resolves with what was taken. */
async function pour(response: ServerResponse, bytes: number): Promise<number> {
  const piece = Buffer.alloc(65_536, 0x20)
  const closed = once(response, 'close')
  let written = 0
  while (written < bytes && !response.destroyed) {
    const taken = response.write(piece)
    written += piece.length
    if (taken) continue
    await Promise.race([once(response, 'drain'), closed])
  }
  if (!response.destroyed) response.end()
  return written
}

/** Sends something every 20 ms for as long as somebody listens. */
function drip(response: ServerResponse, write: () => void): void {
  const timer = setInterval(() => {
    if (response.socket === null || response.socket.destroyed || response.destroyed) clearInterval(timer)
    else write()
  }, 20)
}

const challenged = (gateway: HostileGateway) => ({
  'content-type': 'application/json',
  'www-authenticate': gateway.challenge(),
})

/** Ways not to answer. */
const SILENCES: readonly [string, Malice][] = [
  ['never answers', () => undefined],
  [
    'sends one byte at a time of a status line that has no end',
    (_call, response) => {
      response.socket?.write('HTTP/1.1 402 ')
      drip(response, () => response.socket?.write('x'))
    },
  ],
  [
    'sends one header after the other, without an end',
    (_call, response) => {
      response.socket?.write('HTTP/1.1 402 No\r\n')
      drip(response, () => response.socket?.write('x-more: 1\r\n'))
    },
  ],
  [
    'says 103 for ever',
    (_call, response) => drip(response, () => response.socket?.write('HTTP/1.1 103 Early\r\n\r\n')),
  ],
  [
    'sends an error body that never ends, one byte at a time',
    (_call, response, gateway) => {
      response.writeHead(402, challenged(gateway))
      drip(response, () => response.write(' '))
    },
  ],
  [
    'begins an error body and falls silent',
    (_call, response, gateway) => void response.writeHead(402, challenged(gateway)).write('{"error":'),
  ],
]

describe.concurrent('a server that takes its time', () => {
  it.each(SILENCES)(
    '%s, to the unpaid send: no answer, in bounded time, and nothing was signed',
    async (_name, malice) => {
      const spoils = await attack(stage, malice, { policy: IMPATIENT })
      expect(spoils.codes).toEqual(['connection_failed'])
      expect(failureOf(spoils.outcomes[0] ?? never()).detail).toContain('no answer within 400 ms')
      expect(spoils.elapsedMs).toBeLessThan(SOON_MS)
      expect(spoils).toMatchObject({ sends: ['unpaid', 'unpaid', 'unpaid'], signatures: 0, gained: 0n, lost: 0n })
    },
  )

  it.each(SILENCES)('%s, to the paid send: the outcome is unknown, and it is not sent again', async (_name, malice) => {
    const spoils = await attack(stage, afterOpening(malice), { opened: true, policy: LESS_PATIENT })
    expect(spoils.codes).toEqual(['outcome_unknown'])
    expect(spoils.elapsedMs).toBeLessThan(SOON_MS)
    expect(spoils.sends).toEqual(['unpaid', 'open', 'unpaid', 'voucher'])
    expect(spoils).toMatchObject({ gained: BUCKET, lost: BUCKET, signatures: 2 })
  })

  it.each(SILENCES.slice(0, 1))('%s, to a top-up: one transaction, which the ledger keeps', async (_name, malice) => {
    const spoils = await attack(
      stage,
      afterOpening((call, response, gateway) => {
        if (call.action === 'topUp') return malice(call, response, gateway)
        gateway.refuse(response, 'mpp_session_deposit_below_request_cost', { terms: { suggestedDeposit: 1n } })
      }),
      { opened: true, policy: { ...LESS_PATIENT, maxDeposit: '6', attempts: { TOP_UP_UNCONFIRMED: 0 } } },
    )
    expect(spoils.codes).toEqual(['chain_unavailable'])
    expect(spoils.sessions).toMatchObject([{ status: 'toppingUp', deposit: '5000000', pending: 'topUp' }])
    expect(spoils).toMatchObject({ gained: BUCKET, lost: BUCKET, signatures: 3 })
    expect(spoils.elapsedMs).toBeLessThan(SOON_MS)
  })

  it('says 200 and never ends its body: the answer is the caller’s at once, and so is the decision to go', async () => {
    const spoils = await attack(
      stage,
      afterOpening((_call, response) => {
        response.writeHead(200, { 'content-type': 'text/plain' })
        drip(response, () => response.write('.'))
      }),
      {
        opened: true,
        policy: LESS_PATIENT,
        // The timeout is over by then: it was about the headers.
        before: () => pause(3_200),
      },
    )
    expect(spoils.codes).toEqual([200])
    expect(spoils.elapsedMs).toBeLessThan(SOON_MS)
    const reader = spoils.outcomes[0]?.response?.body?.getReader()
    expect((await reader?.read())?.value?.length).toBeGreaterThan(20)
    await reader?.cancel()
  })

  it('asks to wait for a year: half a minute is waited at most, and no loop is made of it', async () => {
    const year = { 'retry-after': String(365 * 24 * 3600) }
    const gateway = await startHostile(stage.chain, (_call, response) => void response.writeHead(429, year).end())
    try {
      const mpp = stage.client(stage.payer())
      const actor = mpp.createFlow(gateway.chat, chat(500))
      const waiting = new Promise<number>((resolve) => {
        actor.subscribe(({ value, context }) => value === 'backingOff' && resolve(context.backoffMs))
      })
      actor.start()
      expect(await waiting).toBe(30_000)
      actor.send({ type: 'CANCEL' })
      expect(codeOf(await mpp.outcomeOf(actor))).toBe('cancelled')
      // One wait is all there is: the second refusal ends it.
      const twice = stage.client(stage.payer(), { policy: { attempts: { RATE_LIMITED: 0 } } })
      expect(codeOf(await twice.pay(gateway.chat, chat(500)))).toBe('rate_limited')
    } finally {
      await gateway.stop()
    }
  })

  it.each(['Fri, 31 Dec 9999 23:59:59 GMT', '99999999999999999999', '-1', 'soon', '1e9'])(
    'asks to wait until %s',
    async (retryAfter) => {
      const headers = { 'retry-after': retryAfter }
      const gateway = await startHostile(stage.chain, (_call, response) => void response.writeHead(429, headers).end())
      try {
        const mpp = stage.client(stage.payer())
        const actor = mpp.createFlow(gateway.chat, chat(500))
        const waiting = new Promise<number>((resolve) => {
          actor.subscribe(({ value, context }) => value === 'backingOff' && resolve(context.backoffMs))
        })
        actor.start()
        const ms = await waiting
        expect(ms).toBeGreaterThanOrEqual(0)
        expect(ms).toBeLessThanOrEqual(30_000)
        actor.send({ type: 'CANCEL' })
        await mpp.outcomeOf(actor)
      } finally {
        await gateway.stop()
      }
    },
  )
})

describe.concurrent('answers that HTTP does not know', () => {
  const raw =
    (text: string): Malice =>
    (_call, response) =>
      void response.socket?.end(text)

  it.each<[string, string]>([
    ['no HTTP at all', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['another version', 'HTTP/3.7 402 No\r\n\r\n'],
    ['a status of no digits', 'HTTP/1.1 four No\r\n\r\n'],
    ['a header without a colon', 'HTTP/1.1 402 No\r\nnonsense\r\n\r\n'],
    ['a zero byte in a header', 'HTTP/1.1 402 No\r\nx: a\0b\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 402 No\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx'],
    ['a length below zero', 'HTTP/1.1 402 No\r\ncontent-length: -1\r\n\r\n'],
    ['a chunk without a length', 'HTTP/1.1 402 No\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'],
    ['less body than announced', 'HTTP/1.1 402 No\r\ncontent-length: 1000\r\n\r\n{}'],
    ['101', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n'],
    ['nothing', ''],
  ])('%s: no answer, unpaid and paid', async (_name, text) => {
    const policy: Policy = { attempts: { CONNECTION_FAILED: 0 } }
    const unpaid = await attack(stage, raw(text), { policy })
    expect(unpaid.codes).toEqual(['connection_failed'])
    const paid = await attack(stage, afterOpening(raw(text)), { opened: true, policy })
    expect(paid.codes).toEqual(['outcome_unknown'])
    expect(paid).toMatchObject({ gained: BUCKET, lost: BUCKET, signatures: 2 })
  })

  it.each<[string, string, number]>([
    ['a reason that is not ASCII', 'HTTP/1.1 418 Zahlung nötig – bitte\r\ncontent-length: 0\r\n\r\n', 418],
    ['no reason', 'HTTP/1.1 418\r\ncontent-length: 0\r\n\r\n', 418],
    ['a status that nobody uses', 'HTTP/1.1 499 ?\r\ncontent-length: 0\r\n\r\n', 499],
    ['a 204 that has a body', 'HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\n{}', 204],
    ['a 304', 'HTTP/1.1 304 No\r\n\r\n', 304],
  ])('%s: the caller’s answer', async (_name, text, status) => {
    const spoils = await attack(stage, raw(text))
    expect(spoils.codes).toEqual([status])
    expect(spoils.signatures).toBe(0)
  })

  it('a status that no Response can have: as if there had been no answer', async () => {
    const spoils = await attack(stage, raw('HTTP/1.1 999 ?\r\ncontent-length: 0\r\n\r\n'))
    expect(spoils.codes).toEqual(['connection_failed'])
    expect(spoils.signatures).toBe(0)
  })
})

// One after the other: what the process holds is measured.
describe('a server that sends too much', () => {
  /** How much more the process holds than at the beginning, at its worst, while `work` runs. */
  async function growth<T>(work: () => Promise<T>): Promise<{ readonly value: T; readonly bytes: number }> {
    const held = () => {
      const { heapUsed, external } = process.memoryUsage()
      return heapUsed + external
    }
    const before = held()
    let most = before
    const timer = setInterval(() => {
      most = Math.max(most, held())
    }, 5)
    try {
      return { value: await work(), bytes: Math.max(most, held()) - before }
    } finally {
      clearInterval(timer)
    }
  }

  it.each(['unpaid', 'voucher'] as const)(
    'an error body of 100 MB to every %s send: little is held, and nothing is kept open',
    async (to) => {
      const poured: Promise<number>[] = []
      let pouring = 0
      const malice: Malice = (call, response, gateway) => {
        if (call.action === 'open' || (call.action === 'unpaid' && (to !== 'unpaid' || call.earlier === 0))) {
          return afterOpening(() => undefined)(call, response, gateway)
        }
        if (call.action !== to) return gateway.refuse(response, REFRESH)
        response.writeHead(402, challenged(gateway))
        pouring += 1
        poured.push(pour(response, 100 * MB).finally(() => (pouring -= 1)))
      }
      const { value: spoils, bytes } = await growth(() =>
        attack(stage, malice, {
          opened: true,
          requests: 4,
          before: async ({ outcomes }) => {
            // The last answer of each request is the caller's; all others were let go of.
            await pause(300)
            expect(pouring).toBeLessThanOrEqual(outcomes.length)
            for (const { response } of outcomes) await response?.body?.cancel()
            await pause(300)
            expect(pouring).toBe(0)
          },
        }),
      )
      // What cannot be read has no code; the challenge beside it is answered, and no more than the exposure signed.
      const codes = to === 'unpaid' ? Array(4).fill('limit_exceeded') : Array(4).fill('payment_required')
      expect(spoils.codes).toEqual(codes)
      expect(spoils.gained).toBeLessThanOrEqual(2n * BUCKET)
      expect(spoils.elapsedMs).toBeLessThan(SOON_MS)
      const taken = await Promise.all(poured)
      expect(taken.length).toBeGreaterThanOrEqual(4)
      // 64 KB are looked at; what else left the server is in the buffers of the two sockets.
      for (const amount of taken) expect(amount).toBeLessThan(20 * MB)
      expect(bytes).toBeLessThan(60 * MB)
    },
  )

  it('an error body that unpacks to a gigabyte: no more is unpacked than is looked at', async () => {
    const { value: spoils, bytes } = await growth(() =>
      attack(
        stage,
        afterOpening((_call, response, gateway) => {
          response.writeHead(402, { ...challenged(gateway), 'content-encoding': 'gzip' })
          const gzip = createGzip()
          gzip.pipe(response)
          let left = 1000
          const more = (): void => {
            while (left > 0 && !response.destroyed) {
              left -= 1
              if (!gzip.write(Buffer.alloc(MB))) return void gzip.once('drain', more)
            }
            gzip.end()
          }
          response.once('close', () => gzip.destroy())
          more()
        }),
        { opened: true, before: async ({ outcomes }) => outcomes[0]?.response?.body?.cancel() },
      ),
    )
    expect(spoils.codes).toEqual(['payment_required'])
    expect(spoils.gained).toBe(BUCKET)
    expect(bytes).toBeLessThan(100 * MB)
    expect(spoils.elapsedMs).toBeLessThan(SOON_MS)
  })

  it.each(['unpaid', 'voucher'] as const)('a header of 10 MB to the %s send: no answer', async (to) => {
    const malice: Malice = (call, response, gateway) => {
      if (call.action !== to) return gateway.refuse(response, null)
      response.socket?.write('HTTP/1.1 402 No\r\nwww-authenticate: Payment id="')
      response.socket?.end(Buffer.alloc(10 * MB, 'a'))
    }
    const { value: spoils, bytes } = await growth(() =>
      attack(stage, to === 'unpaid' ? malice : afterOpening(malice), { opened: to === 'voucher' }),
    )
    expect(spoils.codes).toEqual([to === 'unpaid' ? 'connection_failed' : 'outcome_unknown'])
    expect(spoils.gained).toBe(to === 'unpaid' ? 0n : BUCKET)
    expect(bytes).toBeLessThan(80 * MB)
    expect(spoils.elapsedMs).toBeLessThan(SOON_MS)
  })

  it('a header of 10 MB over a fetch that lets it through: refused for its length', async () => {
    const gateway = await startHostile(stage.chain, (_call, response) => {
      response.writeHead(402, { 'www-authenticate': `Payment id="${'a'.repeat(10 * MB)}"` }).end()
    })
    try {
      const payer = counted(stage.payer())
      const { value: outcome, bytes } = await growth(() =>
        stage.client(payer.account, { fetch: roomyFetch }).pay(gateway.chat, chat(500)),
      )
      expect(failureOf(outcome)).toMatchObject({ code: 'challenge_rejected' })
      expect(payer.signatures()).toBe(0)
      // The fetch itself holds the header a few times over.
      expect(bytes).toBeLessThan(150 * MB)
    } finally {
      await gateway.stop()
    }
  })
})

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function never(): never {
  throw new Error('this is missing')
}
