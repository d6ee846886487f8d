// Header fields as a dispatcher hands them over: bytes or text, values alone or gathered.
// Must never join values that came apart: a cookie may have a comma of its own.

import type { RawField } from './dispatcher.js'

/** Names and values that take turns, as text: one byte is one character. Of gathered values each gets the name. */
export function listOf(raw: readonly RawField[]): string[] {
  const list: string[] = []
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = textsOf(raw[at]).join('')
    for (const value of textsOf(raw[at + 1])) list.push(name, value)
  }
  return list
}

function textsOf(field: RawField | undefined): readonly string[] {
  if (field === undefined) return []
  if (typeof field === 'string') return [field]
  return isGathered(field) ? field.flatMap(textsOf) : [field.toString('latin1')]
}

function isGathered(field: RawField): field is Extract<RawField, readonly unknown[]> {
  return Array.isArray(field)
}
