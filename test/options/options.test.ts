// Options that are wrong are refused by name, and nothing of what was given is in the refusal.
// Must never pass because nothing was refused: every option of every call is made wrong once.

import { inspect } from 'node:util'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CODE_FACTS } from '../../machines/index.js'
import { createMppClient, memoryStore, OptionError } from '../../src/index.js'
import { type LocalChain, startChain } from '../../src/sandbox/index.js'
import { cases } from '../extent.js'
import { type Surface, surfaces } from './surfaces.js'

type Path = readonly (string | number)[]

let chain: LocalChain
let all: readonly Surface[]

beforeAll(async () => {
  chain = await startChain({ accounts: 2 })
  all = surfaces(chain)
})
afterAll(() => chain.stop())

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

/** What is used as it is, whatever else it holds. */
const OPAQUE = new Set(['account', 'voucherSigner', 'store', 'inspect', 'layer', 'chain', 'pool', 'headers', 'signal'])

/** Where options, and options of options, are. */
function pathsOf(options: unknown, at: Path = []): readonly Path[] {
  const inside = Array.isArray(options) ? [...options.entries()] : isPlain(options) ? Object.entries(options) : []
  return inside.flatMap(([key, value]) => {
    const path = [...at, key]
    return OPAQUE.has(String(key)) ? [path] : [path, ...pathsOf(value, path)]
  })
}

/** The options with another value at one place. */
function replaced(options: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value
  if (Array.isArray(options)) return options.map((one, index) => (index === key ? replaced(one, rest, value) : one))
  if (!isPlain(options)) throw new Error('there is nothing at this path')
  return { ...options, [key]: replaced(options[key], rest, value) }
}

const nameOf = (path: Path): string =>
  path.reduce<string>((name, part) => {
    if (typeof part === 'number') return `${name}[${part}]`
    return name === '' ? part : `${name}.${part}`
  }, '')

/** What a call came to: an error, also one inside an outcome, or undefined. */
async function refusalOf(surface: Surface, options: unknown): Promise<unknown> {
  try {
    const result: unknown = await surface.call(options)
    return isPlain(result) && result.status === 'failed' ? result : undefined
  } catch (error) {
    return error
  }
}

/** The option that a refusal names. Calls that never throw say it in the detail of their outcome. */
function saidBy(refusal: unknown): string {
  if (refusal instanceof OptionError) return refusal.message
  if (isPlain(refusal) && isPlain(refusal.failure)) return String(refusal.failure.detail)
  throw new Error('it was not refused')
}

describe('an option that is wrong', () => {
  it('is named: each option of each call, with a value that it cannot have', async () => {
    let tried = 0
    for (const surface of all) {
      for (const path of pathsOf(surface.options)) {
        for (const wrong of [Symbol('wrong'), null]) {
          const refusal = await refusalOf(surface, replaced(surface.options, path, wrong))
          const where = `${surface.name}: ${nameOf(path)}`
          expect(refusal, where).toBeDefined()
          expect(`${surface.name}: ${saidBy(refusal)}`, where).toContain(`${where} must be `)
          if (refusal instanceof OptionError) expect(refusal.option, where).toBe(nameOf(path))
          tried += 1
        }
      }
    }
    expect(tried).toBeGreaterThan(200)
  })

  it('all options of all calls together are taken', async () => {
    for (const surface of all.filter(({ harmless }) => harmless)) {
      const refusal = await refusalOf(surface, surface.options)
      // A close of a channel that nobody knows fails, but not over its options.
      const detail = isPlain(refusal) && isPlain(refusal.failure) ? refusal.failure.detail : null
      expect(refusal === undefined || /ledger|channel/.test(String(detail)), `${surface.name}: ${refusal}`).toBe(true)
    }
  })

  it('a misspelt name is answered with the nearest one, at every depth', async () => {
    for (const surface of all) {
      const objects = [[], ...pathsOf(surface.options)].map((path) => ({
        path,
        value: path.reduce<unknown>(
          (at, key) => (at === undefined ? at : Reflect.get(Object(at), key)),
          surface.options,
        ),
      }))
      for (const { path, value } of objects) {
        if (!isPlain(value) || OPAQUE.has(String(path.at(-1)))) continue
        for (const key of Object.keys(value)) {
          const misspelt = `${key}s`
          const refusal = await refusalOf(
            surface,
            replaced(surface.options, path, { ...value, [misspelt]: value[key] }),
          )
          expect(saidBy(refusal), surface.name).toBe(
            `unknown option ${nameOf([...path, misspelt])}; did you mean ${key}?`,
          )
        }
      }
    }
  })

  it('no options at all in place of an object: a promise, a Map, an array, a text', async () => {
    for (const surface of all) {
      for (const wrong of [Promise.resolve(surface.options), new Map(), [], 'options', 5, null]) {
        expect(saidBy(await refusalOf(surface, wrong)), surface.name).toBe('the argument must be an object of options')
      }
    }
  })
})

describe('mistakes that went unnoticed', () => {
  const account = () => chain.accounts[0]
  const making = (policy: object) => () => Reflect.apply(createMppClient, undefined, [{ account: account(), policy }])

  it.each([
    [{ maxTotalDeposits: '3' }, 'unknown option policy.maxTotalDeposits; did you mean maxTotalDeposit?'],
    [{ maxDeposit: 3_000_000 }, 'policy.maxDeposit must be a string with an amount of tokens'],
    [{ maxDeposit: null }, 'policy.maxDeposit must be '],
    [{ timeouts: { request: 5 } }, 'unknown option in policy.timeouts; the options are unpaidMs, paidMs'],
    [{ timeouts: { paidMS: 5 } }, 'unknown option policy.timeouts.paidMS; did you mean paidMs?'],
    [{ attempts: { mpp_invalid_chalenge: 1 } }, 'did you mean mpp_invalid_challenge?'],
    [{ attempts: { RATE_LIMITED: -1 } }, 'policy.attempts.RATE_LIMITED must be a whole number of at least 0'],
    [{ attempts: { RATE_LIMITED: 0.5 } }, 'policy.attempts.RATE_LIMITED must be a whole number of at least 0'],
    [{ attempts: { RATE_LIMITED: 2 ** 53 } }, 'policy.attempts.RATE_LIMITED must be a whole number of at least 0'],
    [{ allowedOrigins: 'https://api.example.com' }, 'policy.allowedOrigins must be an array of origins'],
    [{ allowedOrigins: ['api.example.com'] }, 'policy.allowedOrigins[0] must be an http or https origin'],
    [{ resendPaid: 'no' }, 'policy.resendPaid must be true or false'],
  ])('%j', (policy, message) => {
    expect(making(policy)).toThrow(OptionError)
    expect(making(policy)).toThrow(message)
  })

  it('a wait that no timer can count, and would have ended at once', () => {
    for (const name of ['unpaidMs', 'paidMs', 'topUpMs', 'closeMs', 'sessionMs', 'leaseMs']) {
      for (const wrong of [Number.POSITIVE_INFINITY, Number.NaN, 2 ** 31, 0, -1, 1_000.5, '60000', 60_000n]) {
        expect(making({ timeouts: { [name]: wrong } }), `${name} ${String(wrong)}`).toThrow(
          `policy.timeouts.${name} must be a whole number of milliseconds from`,
        )
      }
    }
    expect(making({ timeouts: { leaseMs: 999 } })).toThrow('from 1000 to 3600000')
    expect(making({ timeouts: { leaseMs: 3_600_001 } })).toThrow('from 1000 to 3600000')
    making({ timeouts: { unpaidMs: 1, paidMs: 2 ** 31 - 1, leaseMs: 3_600_000 } })()
  })

  it('every code can be bounded, and what is undefined stays at its default', () => {
    making({ attempts: Object.fromEntries(Object.keys(CODE_FACTS).map((code) => [code, 3])) })()
    making({ maxDeposit: undefined, timeouts: { paidMs: undefined }, attempts: undefined })()
  })

  it('the key in place of the account is told what makes an account of it', () => {
    const key = `0x${'ab'.repeat(32)}`
    const make = () => Reflect.apply(createMppClient, undefined, [{ account: key }])
    expect(make).toThrow(OptionError)
    expect(make).toThrow(/^account must be a viem account .*privateKeyToAccount/)
    expect(make).not.toThrow(/abab/)
  })
})

/** Everything that can be read off an error, by whoever logs it. */
function textOf(error: unknown): string {
  const parts: string[] = []
  for (let at: unknown = error; at !== undefined && at !== null; at = at instanceof Error ? at.cause : null) {
    parts.push(String(at), inspect(at, { depth: Number.POSITIVE_INFINITY, showHidden: true, getters: true }))
    parts.push(JSON.stringify(at, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)) ?? '')
    if (at instanceof Error) {
      parts.push(at.stack ?? '', at.message)
      for (const name of Object.getOwnPropertyNames(at)) parts.push(name, String(Reflect.get(at, name)))
    }
  }
  return parts.join('\n').toLowerCase()
}

const hex = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'))
const secrets = fc.oneof(
  hex.map((digits) => `0x${digits}`),
  hex,
  hex.map((digits) => `Bearer sk-live-${digits}`),
  hex.map((digits) => `https://user:${digits}@rpc.example/${digits}?key=${digits}`),
  hex.map((digits) => `foo://${digits}`),
)

/** A value that holds a secret in some way. */
const disguises: readonly ((secret: string) => unknown)[] = [
  (secret) => secret,
  (secret) => [secret],
  (secret) => ({ [secret]: secret }),
  (secret) => ({ deep: { deeper: [{ privateKey: secret }] } }),
  (secret) => ({ address: secret, signTypedData: secret }),
  (secret) => new Error(secret),
  (secret) => Buffer.from(secret),
  (secret) => new Map([[secret, secret]]),
  (secret) => ({ toString: () => secret, toJSON: () => secret, [inspect.custom]: () => secret }),
  (secret) => Symbol(secret),
  (secret) => Promise.resolve(secret),
  (secret) => Object.assign(() => secret, { secret }),
  (secret) => Object.defineProperty({}, 'policy', { enumerable: true, get: () => fail(secret) }),
  (secret) =>
    new Proxy({}, { get: () => fail(secret), ownKeys: () => fail(secret), getPrototypeOf: () => fail(secret) }),
]

function fail(secret: string): never {
  throw new Error(`the caller's own error about ${secret}`)
}

describe('an error about options', () => {
  it('the search finds a secret that an error does carry', () => {
    const secret = `0x${'c0ffee'.repeat(10)}`
    for (const leaking of [
      new Error(secret),
      new Error('it', { cause: new Error(secret) }),
      Object.assign(new Error('it'), { given: { secret } }),
      Object.defineProperty(new Error('it'), 'input', { value: secret, enumerable: false }),
    ])
      expect(textOf(leaking)).toContain(secret)
  })

  it('holds no secret, whichever option of whichever call is given one, in whatever form', async () => {
    const places = all.flatMap((surface) => [[], ...pathsOf(surface.options)].map((path) => ({ surface, path })))
    const refused = new Set<string>()
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...places),
        secrets,
        fc.constantFrom(...disguises),
        fc.constantFrom<'value' | 'key' | 'both'>('value', 'key', 'both'),
        async ({ surface, path }, secret, disguise, where) => {
          const value = path.reduce<unknown>((at, key) => Reflect.get(Object(at), key), surface.options)
          const given =
            where === 'value' || !isPlain(value)
              ? disguise(secret)
              : { ...value, [secret]: where === 'key' ? 1 : disguise(secret) }
          let options = replaced(surface.options, path, given)
          // Where right options would start something, one more is wrong.
          if (!surface.harmless && path.length > 0 && isPlain(options)) options = { ...options, zzzzzzzz: 1 }
          const refusal = await refusalOf(surface, options)
          if (refusal === undefined) return
          refused.add(surface.name)
          const digits = /[0-9a-f]{64}/.exec(secret)?.[0] ?? secret
          expect(textOf(refusal)).not.toContain(digits)
        },
      ),
      { numRuns: cases(2_000) },
    )
    expect([...refused].sort()).toEqual(all.map(({ name }) => name).sort())
  })

  it('a store is used as it is, not copied: a class with private members works', async () => {
    const [account] = chain.accounts
    const rest = memoryStore()
    if (account === undefined) throw new Error('the chain has no accounts')
    class CountingStore {
      #lists = 0
      readonly get = rest.get
      readonly update = rest.update
      readonly acquireLease = rest.acquireLease
      readonly renewLease = rest.renewLease
      readonly releaseLease = rest.releaseLease
      readonly isLeased = rest.isLeased
      readonly watch = rest.watch
      async list() {
        this.#lists += 1
        return []
      }
      get lists() {
        return this.#lists
      }
    }
    const store = new CountingStore()
    await createMppClient({ account, store }).sessions.list()
    expect(store.lists).toBe(1)
  })
})
