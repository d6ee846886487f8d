// Whatever bytes arrive at the servers of this package, nothing is thrown out of them, and they go on answering.
// Must never depend on luck: the seed is fixed. FUZZ_CASES=1000000 tries that many, FUZZ_SEED others.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inspectLocally, type LocalInspector } from '../../src/inspect/live/index.js'
import { type Sandbox, startSandbox } from '../../src/sandbox/index.js'
import { cases } from '../extent.js'
import { createRandom, type Random } from './random.js'
import { BODIES, sendFrames, sendRequests, type Target } from './wire.js'

const CASES = Number(process.env.FUZZ_CASES ?? cases(3_000))
const SEED = Number(process.env.FUZZ_SEED ?? 14)
/** Connections at once. */
const AT_ONCE = 16

let inspector: LocalInspector
let sandbox: Sandbox
const thrown: unknown[] = []
const note = (error: unknown): void => void thrown.push(error)

beforeAll(async () => {
  const control = { id: 'c', label: 'C', group: 'g', hint: '', run: async () => 'done' }
  ;[inspector, sandbox] = await Promise.all([inspectLocally({ controls: [control] }), startSandbox()])
  process.on('uncaughtException', note).on('unhandledRejection', note)
})
afterAll(async () => {
  process.off('uncaughtException', note).off('unhandledRejection', note)
  await Promise.all([inspector?.stop(), sandbox?.stop()])
})

/** Attacks until there were so many cases. @returns how many there were */
async function attack(cases: number, send: (random: Random) => Promise<number>): Promise<number> {
  let done = 0
  const attackers = Array.from({ length: AT_ONCE }, async (_, index) => {
    const random = createRandom(SEED * 1_000 + index)
    while (done < cases && thrown.length === 0) done += await send(random)
  })
  await Promise.all(attackers)
  return done
}

const portOf = (url: string): number => Number(new URL(url).port)
const limit = Math.max(120_000, CASES * 10)

describe(`${CASES} cases, seed ${SEED}`, () => {
  it.each(['the inspector', 'the RPC endpoint', 'the gateway'] as const)(
    'no raw request throws out of %s',
    async (name) => {
      const path = new URL(inspector.url).pathname
      const targets: Record<typeof name, Target> = {
        'the inspector': {
          port: portOf(inspector.url),
          paths: [path, `${path}feed`, `${path}opener`, `${path}main.js`],
          body: BODIES.any,
        },
        'the RPC endpoint': { port: portOf(sandbox.rpcUrl), paths: ['/'], body: BODIES.rpc },
        'the gateway': {
          port: portOf(sandbox.url),
          paths: [
            '/v1/mpp/chat/completions',
            '/v1/chat/completions',
            '/v1/models',
            '/v1/mpp/sessions/close',
            '/v1/responses',
          ],
          body: BODIES.any,
        },
      }
      const done = await attack(CASES / 6, (random) => sendRequests(random, targets[name]))
      expect(thrown).toEqual([])
      expect(done).toBeGreaterThanOrEqual(CASES / 6)
    },
    limit,
  )

  it(
    'no frame throws out of the inspector',
    async () => {
      const path = new URL(inspector.url).pathname
      const done = await attack(CASES / 2, (random) =>
        sendFrames(random, portOf(inspector.url), `${path}${random.once(20) ? 'feed' : random.pick(['', 'opener'])}`),
      )
      expect(thrown).toEqual([])
      expect(done).toBeGreaterThanOrEqual(CASES / 2)
    },
    limit,
  )

  it('all of them answer as before', async () => {
    expect((await fetch(inspector.url)).status).toBe(200)
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] })
    const headers = { 'content-type': 'application/json' }
    expect(await (await fetch(sandbox.rpcUrl, { method: 'POST', headers, body })).json()).toMatchObject({
      result: '0xa5bf',
    })
    const chat = JSON.stringify({ model: 'sandbox-verbose', max_tokens: 5, messages: [{ role: 'user', content: 'x' }] })
    expect(
      (await fetch(`${sandbox.url}/v1/mpp/chat/completions`, { method: 'POST', headers, body: chat })).status,
    ).toBe(402)
  })
})
