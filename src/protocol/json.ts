// Reads JSON of bounded depth and writes the canonical form that servers bind challenges to.
// Must never hand over a document nested so deep that walking it could exhaust the stack.
import { type Parsed, parsed, refused } from './parsed.js'

/** The deepest nesting of arrays and objects that is read. */
export const MAX_JSON_DEPTH = 32

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Parses JSON after checking, in one pass over the text, that it nests at most {@link MAX_JSON_DEPTH} deep. */
export function parseJson(text: string): Parsed<unknown, 'malformed'> {
  if (nestsTooDeep(text)) return refused('malformed', `JSON nested deeper than ${MAX_JSON_DEPTH}`)
  try {
    return parsed(JSON.parse(text))
  } catch {
    // The engine's message quotes the input, so it is not passed on.
    return refused('malformed', 'not JSON')
  }
}

/** A JSON object, as opposed to an array, a null or a scalar. */
export function isJsonObject(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A value that has one JSON form. Numbers are whole: amounts travel as strings. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue }

/** The JSON Canonicalization Scheme (RFC 8785) for values without fractions: names sorted by UTF-16 code unit, no space. */
export function canonicalJson(value: JsonValue): string {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new RangeError('canonical JSON here holds whole numbers only')
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`
}

// `Array.isArray` does not narrow a readonly array out of a union.
function isList(value: readonly JsonValue[] | { readonly [name: string]: JsonValue }): value is readonly JsonValue[] {
  return Array.isArray(value)
}

function nestsTooDeep(text: string): boolean {
  let depth = 0
  let inString = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (inString) {
      if (code === BACKSLASH) at++
      else if (code === QUOTE) inString = false
    } else if (code === QUOTE) inString = true
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > MAX_JSON_DEPTH) return true
    } else if (code === 0x7d || code === 0x5d) depth--
  }
  return false
}
