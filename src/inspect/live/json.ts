// Turns whatever a machine holds into JSON of a bounded size, at the moment it is seen.
// Must never throw, and never hand on something that its owner can change later.

import type { Json } from '../diagram/studio.js'

const DEEPEST = 8
const LONGEST_TEXT = 2_000
const LONGEST_NAME = 200
const MOST_MEMBERS = 100
/** Characters of one copy, about: a payment flow's context has some three thousand. */
const LARGEST = 64 * 1024

/** What one copy may still take. */
interface Room {
  left: number
}

/** A copy of the value as JSON. What JSON cannot hold is put into words; what is too deep, too long or too much is cut. */
export function asJson(value: unknown): Json {
  return copy(value, 0, { left: LARGEST })
}

function copy(value: unknown, depth: number, room: Room): Json {
  // Brackets, commas and short values count as much as they take.
  room.left -= 8
  if (room.left <= 0) return '…'
  switch (typeof value) {
    case 'string':
      return cut(value, LONGEST_TEXT, room)
    case 'number':
      return Number.isFinite(value) ? value : String(value)
    case 'boolean':
      return value
    case 'bigint':
      return cut(value.toString(), LONGEST_TEXT, room)
    case 'function':
      return cut(`function ${value.name}`.trim(), LONGEST_NAME, room)
    case 'symbol':
      return cut(value.toString(), LONGEST_NAME, room)
    case 'undefined':
      return null
    default:
      return typeof value === 'object' && value !== null ? ofObject(value, depth, room) : null
  }
}

function cut(text: string, longest: number, room: Room): string {
  const kept = text.length > longest ? `${text.slice(0, longest)}…` : text
  room.left -= kept.length
  return kept
}

function ofObject(value: object, depth: number, room: Room): Json {
  if (depth >= DEEPEST) return '…'
  if (value instanceof Error) return copy({ name: value.name, message: value.message }, depth, room)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString()
  if (value instanceof Map) return copy([...value.entries()], depth, room)
  if (value instanceof Set) return copy([...value], depth, room)
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`
  // Actors hold their whole system; a name says enough.
  if ('sessionId' in value && 'send' in value) {
    return cut(`actor ${'id' in value ? String(value.id) : ''}`.trim(), LONGEST_NAME, room)
  }
  if (Array.isArray(value)) {
    const shown = value.slice(0, MOST_MEMBERS).map((item) => copy(item, depth + 1, room))
    return value.length > MOST_MEMBERS ? [...shown, `… ${value.length - MOST_MEMBERS} more`] : shown
  }
  const members = Object.keys(value).slice(0, MOST_MEMBERS)
  return Object.fromEntries(
    members.map((key) => [cut(key, LONGEST_NAME, room), copy(member(value, key), depth + 1, room)]),
  )
}

/** A member's value; a getter that throws has none. */
function member(value: object, key: string): unknown {
  try {
    return Reflect.get(value, key)
  } catch {
    return null
  }
}
