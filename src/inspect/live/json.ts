// Turns whatever a machine holds into JSON of a bounded size, at the moment it is seen.
// Must never throw, and never hand on something that its owner can change later.

import type { Json } from '../diagram/studio.js'

const DEEPEST = 8
const LONGEST_TEXT = 2_000
const MOST_MEMBERS = 100

/** A copy of the value as JSON. What JSON cannot hold is put into words; what is too deep or too long is cut. */
export function asJson(value: unknown, depth = 0): Json {
  switch (typeof value) {
    case 'string':
      return value.length > LONGEST_TEXT ? `${value.slice(0, LONGEST_TEXT)}…` : value
    case 'number':
      return Number.isFinite(value) ? value : String(value)
    case 'boolean':
      return value
    case 'bigint':
      return value.toString()
    case 'function':
      return `function ${value.name}`.trim()
    case 'symbol':
      return value.toString()
    case 'undefined':
      return null
    default:
      return typeof value === 'object' && value !== null ? ofObject(value, depth) : null
  }
}

function ofObject(value: object, depth: number): Json {
  if (depth >= DEEPEST) return '…'
  if (value instanceof Error) return { name: value.name, message: value.message }
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString()
  if (value instanceof Map) return asJson([...value.entries()], depth)
  if (value instanceof Set) return asJson([...value], depth)
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`
  // Actors hold their whole system; a name says enough.
  if ('sessionId' in value && 'send' in value) return `actor ${'id' in value ? String(value.id) : ''}`.trim()
  if (Array.isArray(value)) {
    const shown = value.slice(0, MOST_MEMBERS).map((item) => asJson(item, depth + 1))
    return value.length > MOST_MEMBERS ? [...shown, `… ${value.length - MOST_MEMBERS} more`] : shown
  }
  const members = Object.keys(value).slice(0, MOST_MEMBERS)
  return Object.fromEntries(members.map((key) => [key, asJson(member(value, key), depth + 1)]))
}

/** A member's value; a getter that throws has none. */
function member(value: object, key: string): unknown {
  try {
    return Reflect.get(value, key)
  } catch {
    return null
  }
}
