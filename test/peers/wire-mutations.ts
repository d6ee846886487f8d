// Damages valid wire texts at every layer they have: members, JSON text, bytes, base64, header.
// Must never look at what a codec makes of the result: the same damage is dealt to both.
import fc from 'fast-check'

/** One edit, still without a text: which kind, where, and with what. */
export interface Edit {
  readonly kind: number
  readonly at: number
  readonly pick: number
}

/** Mostly a single edit, so that one difference does not hide behind another. */
export const edits: fc.Arbitrary<readonly Edit[]> = fc
  .tuple(fc.record({ kind: fc.nat(), at: fc.nat(), pick: fc.nat() }), fc.option(fc.nat(), { freq: 4 }))
  .map(([first, more]) =>
    more === null ? [first] : [first, { kind: more >>> 3, at: more >>> 7, pick: (more * 31) >>> 2 }],
  )

/** What stands in a mutated member: wrong types, numbers in every spelling, almost-hex, almost-times, almost-digests. */
const ODD: readonly unknown[] = [
  ...[null, true, false, 0, 1, -1, 1.5, 1e21, 2 ** 53, -0, [], {}, ['0'], { a: 1 }],
  ...['', ' ', '0', '00', '007', '-1', '+1', '1.5', '.5', '1e3', '0x10', '0b1', ' 1', '1 ', '1\n', '1_000', '٣', '1'],
  ...['79228162514264337593543950335', '79228162514264337593543950336', '9'.repeat(30), `${'0'.repeat(29)}1`],
  ...['0x', '0X', '0xzz', '0x1', '0xabc', `0x${'0'.repeat(39)}`, `0x${'0'.repeat(40)}`, `0x${'0'.repeat(41)}`],
  ...[
    `0x${'a'.repeat(63)}`,
    `0x${'a'.repeat(64)}`,
    `0x${'A'.repeat(64)}`,
    `0x${'A'.repeat(40)}`,
    `0X${'a'.repeat(40)}`,
  ],
  ...[`0x${'a'.repeat(65)}`, 'a'.repeat(64), `0x${'0'.repeat(64)} `, `0x${'ａ'.repeat(40)}`],
  ...[
    'tempo',
    'Tempo',
    'TEMPO',
    'stripe',
    'session',
    'charge',
    'success',
    'failed',
    'v1',
    'v2',
    'V2',
    'open',
    'voucher',
  ],
  ...['transaction', 'hash', '2026-11-22T10:00:00Z', '2026-11-22t10:00:00z', '2026-11-22 10:00:00Z', '2026-11-22'],
  ...[
    '2026-02-30T10:00:00Z',
    '2026-11-22T24:00:00Z',
    '2026-12-31T23:59:60Z',
    '2026-11-22T10:00:00',
    '0000-01-01T00:00:00Z',
  ],
  ...['2026-11-22T10:00:00.1234567890Z', '2026-11-22T10:00:00.123+05:30', '2026-11-22T10:00:00+99:99', '1763805600'],
  ...[
    'sha-256=',
    `sha-256=${'A'.repeat(43)}=`,
    `sha-256=:${'A'.repeat(43)}=:`,
    `sha-256=${'A'.repeat(43)}`,
    'sha-512=:AA==:',
  ],
  ...[
    `SHA-256=${'A'.repeat(43)}=`,
    'e30',
    'e30=',
    'bnVsbA',
    'W10',
    'did:pkh:eip155:1:0x',
    'a\u0000b',
    '\ud800',
    '💸',
    'é',
  ],
]

/** Names that a document may carry besides its own. */
const NAMES = [
  '__proto__',
  'constructor',
  'toString',
  'x',
  '',
  'externalId',
  'subscriptionId',
  'meta',
  'header',
  'escrow',
]

const PIECES = [
  '"',
  '\\',
  ',',
  '=',
  ' ',
  '\t',
  '\r\n',
  '\n',
  '\0',
  '\u00a0',
  '\u007f',
  '0',
  '-',
  '+',
  '/',
  '_',
  ';',
  ':',
]
const MORE_PIECES = [
  '{',
  '}',
  '[',
  '\\u0041',
  '\\"',
  '""',
  '==',
  'A',
  'z',
  '\u0100',
  'é',
  '💸',
  '\ufeff',
  '%3D',
  "'",
  '!',
]
const CHARACTERS = [...PIECES, ...MORE_PIECES]

/** A text with characters flipped, put in, taken out, repeated, cut off or changed in case. */
export function editText(text: string, { kind, at, pick }: Edit, pieces: readonly string[] = CHARACTERS): string {
  const from = text.length === 0 ? 0 : at % text.length
  const piece = pieces[pick % pieces.length] ?? ''
  const head = text.slice(0, from)
  switch (kind % 10) {
    case 0:
      return head + String.fromCharCode(text.charCodeAt(from) ^ (1 << (pick % 7))) + text.slice(from + 1)
    case 1:
      return head + piece + text.slice(from)
    case 2:
      return head + piece + text.slice(from + 1)
    case 3:
      return head + text.slice(from + 1)
    case 4:
      return head
    case 5:
      return text.slice(from)
    case 6:
      return text.slice(0, from + 1 + (pick % 20)) + text.slice(from)
    case 7:
      return head + text.slice(from + 1 + (pick % 20))
    case 8:
      return head + swapCase(text.slice(from, from + 1 + (pick % 3))) + text.slice(from + 1 + (pick % 3))
    default:
      return pick % 2 === 0 ? piece + text : text + piece
  }
}

/** A JSON value with one member, at any depth, changed, retyped, removed or joined by one of another name. */
export function editValue(value: unknown, { kind, at, pick }: Edit): unknown {
  const places = placesIn(value)
  const place = places[at % Math.max(places.length, 1)]
  if (place === undefined) return ODD[pick % ODD.length]
  const old = place.path.reduce(memberOf, value)
  const odd = ODD[pick % ODD.length]
  switch (kind % 6) {
    case 0:
    case 1:
      return withMember(value, place.path, odd)
    case 2:
      return withMember(value, place.path, undefined)
    case 3:
      return withMember(value, place.path, retyped(old, pick))
    case 4:
      return withMember(value, place.path, typeof old === 'string' ? editText(old, { kind: pick, at, pick: at }) : odd)
    default:
      return withMember(value, [...place.path.slice(0, -1), NAMES[pick % NAMES.length] ?? 'x'], odd)
  }
}

/** JSON text with white space, a member given twice, an escape, or damage. */
export function editJson(json: string, edit: Edit): string {
  const { kind, at, pick } = edit
  switch (kind % 6) {
    case 0:
      return spaced(json, at, [' ', '\t', '\n', '\r\n', '\u00a0', '\u2028', '/**/'][pick % 7] ?? ' ')
    case 1: {
      const names = [...json.matchAll(/"([^"\\]{1,30})":/g)].map((match) => match[1] ?? '')
      const name = names[at % Math.max(names.length, 1)] ?? 'x'
      const member = `"${name}":${JSON.stringify(ODD[pick % ODD.length])}`
      if (pick % 2 === 0) return json.replace('{', `{${member},`)
      return json.replace(/\}$/, `,${member}}`)
    }
    case 2:
      return json.replace(/[a-z]/g, (letter, index: number) =>
        index === json.search(/[a-z]/) + (at % 5) ? `\\u00${letter.charCodeAt(0).toString(16)}` : letter,
      )
    case 3:
      return json.replace(/\}$/, `,"x":${'['.repeat(10 + (pick % 60))}${']'.repeat(10 + (pick % 60))}}`)
    default:
      return editText(json, edit)
  }
}

/** Bytes with a mark before, something after, or a byte that no UTF-8 has. */
export function editBytes(bytes: Uint8Array, { kind, at, pick }: Edit): Uint8Array {
  const from = bytes.length === 0 ? 0 : at % bytes.length
  const insert = (where: number, ...values: readonly number[]) =>
    Buffer.concat([bytes.subarray(0, where), Uint8Array.from(values), bytes.subarray(where)])
  switch (kind % 5) {
    case 0:
      return insert(0, 0xef, 0xbb, 0xbf)
    case 1:
      return insert(from, [0xff, 0x80, 0xc0, 0xf8][pick % 4] ?? 0xff)
    case 2:
      return insert(bytes.length, [0x20, 0x0a, 0x00, 0x7d][pick % 4] ?? 0)
    case 3:
      return insert(from, 0xed, 0xa0, 0x80)
    default: {
      const flipped = Uint8Array.from(bytes)
      flipped[from] = (flipped[from] ?? 0) ^ (1 << (pick % 8))
      return flipped
    }
  }
}

/** Base64url with padding, the other alphabet, spare bits, white space, or damage. */
export function editBase64(text: string, edit: Edit): string {
  const { kind, at, pick } = edit
  switch (kind % 6) {
    case 0:
      return text + '='.repeat(1 + (pick % 3))
    case 1:
      return text.replaceAll('-', '+').replaceAll('_', '/')
    case 2: {
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
      return text.slice(0, -1) + alphabet.charAt((alphabet.indexOf(text.slice(-1)) ^ (1 + (pick % 3))) & 63)
    }
    case 3:
      return spaced(text, at, [' ', '\n', '\t', '=', '.', '%'][pick % 6] ?? ' ')
    default:
      return editText(text, edit)
  }
}

/** Base64url of a document, damaged in the layer that `layer` falls on: 0 to 3. */
export function editDocument(document: unknown, list: readonly Edit[], layer: number): string {
  if (layer === 0) return base64url(JSON.stringify(list.reduce(editValue, document)) ?? '')
  const json = JSON.stringify(document)
  if (layer === 1) return base64url(list.reduce(editJson, json))
  if (layer === 2) return base64url(list.reduce(editBytes, Buffer.from(json)))
  return list.reduce(editBase64, base64url(json))
}

/** The layers in the proportion in which they have something to find. */
export const layers: fc.Arbitrary<number> = fc.constantFrom(0, 0, 0, 0, 0, 1, 1, 2, 3, 3)

export function base64url(content: string | Uint8Array): string {
  return Buffer.from(content).toString('base64url')
}

function spaced(text: string, at: number, piece: string): string {
  const from = at % (text.length + 1)
  return text.slice(0, from) + piece + text.slice(from)
}

function swapCase(text: string): string {
  const lower = text.toLowerCase()
  return lower === text ? text.toUpperCase() : lower
}

function retyped(value: unknown, pick: number): unknown {
  if (typeof value === 'string' && /^[0-9]+$/.test(value))
    return [Number(value), `0${value}`, `-${value}`, `${value}.0`][pick % 4]
  if (typeof value === 'string' && value.startsWith('0x')) {
    return [
      value.toUpperCase(),
      value.slice(2),
      `0x${value.slice(2).toUpperCase()}`,
      `${value}0`,
      `${value}00`,
      value.slice(0, -1),
    ][pick % 6]
  }
  if (typeof value === 'string') return [[value], ` ${value}`, `${value} `, value.toUpperCase()][pick % 4]
  if (typeof value === 'number') return [String(value), -value, value + 0.5, value * 1e10][pick % 4]
  return [[value], JSON.stringify(value), null][pick % 3]
}

function placesIn(value: unknown, path: readonly string[] = []): { readonly path: readonly string[] }[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, member]) => [
    { path: [...path, name] },
    ...placesIn(member, [...path, name]),
  ])
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return Object.entries(value).find(([member]) => member === name)?.[1]
}

/** A copy with the member set, own even when it is called `__proto__`; undefined takes it out. */
function withMember(value: unknown, path: readonly string[], member: unknown): unknown {
  const [name, ...rest] = path
  if (name === undefined) return member
  const entries = Object.entries(typeof value === 'object' && value !== null ? value : {})
  const next = rest.length === 0 ? member : withMember(memberOf(value, name), rest, member)
  const kept = entries.some(([key]) => key === name)
    ? entries.map(([key, old]): [string, unknown] => [key, key === name ? next : old])
    : [...entries, [name, next] as [string, unknown]]
  return Object.fromEntries(kept.filter(([, present]) => present !== undefined))
}
