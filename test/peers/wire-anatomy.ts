// Looks at wire texts with means of its own, so that tables of differences can say what is in them.
// Must never call one of the codecs that are compared.
import { isUtf8 } from 'node:buffer'
import type { Difference } from './wire-differential.js'

/** The only spelling that base64url has for its bytes (RFC 4648 §3.5, without padding). */
export function isCanonicalBase64url(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text
}

/** The JSON that a canonical base64url text holds; undefined when it holds none. */
export function documentIn(text: string): unknown {
  if (!isCanonicalBase64url(text)) return undefined
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
  } catch {
    // Not JSON is one of the answers here.
    return undefined
  }
}

/** A member of a JSON object, at the end of a path. */
export function memberAt(value: unknown, ...path: readonly string[]): unknown {
  let at = value
  for (const name of path) {
    if (!isObject(at) || !Object.hasOwn(at, name)) return undefined
    at = at[name]
  }
  return at
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** How deep brackets nest in a JSON text, also in members that a later one of the same name hides. */
export function depthOf(json: string): number {
  let depth = 0
  let deepest = 0
  for (const bracket of json.replace(/"(?:[^"\\]|\\.)*"/g, '').match(/[[\]{}]/g) ?? []) {
    depth += bracket === '[' || bracket === '{' ? 1 : -1
    deepest = Math.max(deepest, depth)
  }
  return deepest
}

export function isUint96Text(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9]{1,29}$/.test(value) && BigInt(value) < 1n << 96n
}

export function isHexOf(value: unknown, bytes: number): boolean {
  return typeof value === 'string' && new RegExp(`^0x[0-9a-fA-F]{${bytes * 2}}$`).test(value)
}

/** Whether hex digits of the value, at any depth, have capitals. */
export function hasCapitalHex(value: unknown): boolean {
  if (typeof value === 'string') return /^0x[0-9a-fA-F]*$/.test(value) && /[A-F]/.test(value)
  return typeof value === 'object' && value !== null && Object.values(value).some(hasCapitalHex)
}

/** The value with every hex string in it in lower case. */
export function withLowerHex(value: unknown): unknown {
  if (typeof value === 'string') return /^0x[0-9a-fA-F]*$/.test(value) ? value.toLowerCase() : value
  if (Array.isArray(value)) return value.map(withLowerHex)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withLowerHex(member)]))
}

/** RFC 3339 with capital letters: the part of it that a pattern can say. */
const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/

/** A date-time by its pattern alone. */
export function looksLikeDateTime(value: unknown): value is string {
  return typeof value === 'string' && DATE_TIME.test(value)
}

/** Whether the engine knows the moment that a date-time names, and names it the same. */
export function isRealMoment(text: string): boolean {
  const local = text.slice(0, 19)
  const date = new Date(`${local}Z`)
  const zone = /([+-])(\d{2}):(\d{2})$/.exec(text)
  const zoneExists = zone === null || (Number(zone[2]) < 24 && Number(zone[3]) < 60)
  return zoneExists && !Number.isNaN(date.getTime()) && date.toISOString().slice(0, 19) === local
}

/** The differences that every base64url-of-JSON text can have; `textOf` finds that text in the input. */
export function encodingDifferences<C, V>(
  textOf: (input: C) => string | undefined,
  exampleOf: (text: string) => C,
  document: unknown,
): readonly Difference<C, V>[] {
  const json = JSON.stringify(document)
  const encode = (content: string | Uint8Array) => Buffer.from(content).toString('base64url')
  const bytesOf = (text: string) => Buffer.from(text, 'base64url')
  const when = (fits: (text: string) => boolean) => (input: C) => {
    const text = textOf(input)
    return text !== undefined && fits(text)
  }
  const side = 'only theirs accepts' as const
  return [
    {
      name: 'base64url in a second spelling',
      side,
      why:
        'padding, the standard alphabet, spare bits, or characters of no alphabet (their decoder takes those for zero bits). ' +
        'The drafts write base64url without padding; with one spelling for each value, what is compared as text is compared as value',
      applies: when((text) => !isCanonicalBase64url(text)),
      example: exampleOf(`${encode(json)}=`),
    },
    {
      name: 'bytes that are no UTF-8',
      side,
      why: 'JSON on the wire is UTF-8 (RFC 8259 §8.1); their decoder puts replacement characters, which changes the value silently',
      applies: when((text) => isCanonicalBase64url(text) && !isUtf8(bytesOf(text))),
      example: exampleOf(
        encode(Buffer.concat([Buffer.from(`${json.slice(0, -1)},"x":"`), Uint8Array.of(0xff), Buffer.from('"}')])),
      ),
    },
    {
      name: 'a byte order mark',
      side,
      why: 'RFC 8259 §8.1 forbids to send one; their decoder drops it',
      applies: when((text) => isCanonicalBase64url(text) && bytesOf(text).subarray(0, 3).equals(Buffer.from('\ufeff'))),
      example: exampleOf(encode(`\ufeff${json}`)),
    },
    {
      name: 'JSON nested deeper than 32',
      side,
      why: 'nothing on this wire nests deeper than five; a bound keeps a hostile document from exhausting the stack',
      applies: when((text) => depthOf(bytesOf(text).toString('utf8')) > 32),
      example: exampleOf(encode(`${json.slice(0, -1)},"x":${'['.repeat(40)}${']'.repeat(40)}}`)),
    },
  ]
}
