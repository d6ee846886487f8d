// What the head of an answer says about how its body will come.
// Must never take a length for true that HTTP does not go by.

import type { Expected } from './arriving-body.js'
import type { HeaderFields } from './header-fields.js'

/** Enough for a reader to be busy with while the next bytes come. */
const ROOM = 65_536

/**
 * When a connection ends while its parser waits, the undici of Node 22.23 and 24.21 throws where nobody can catch it. A
 * connection that will end with the answer waits only when far more has come than most answers are long.
 */
const ROOM_BEFORE_THE_END = 1_048_576

/** What to expect of the body of an answer with these fields. */
export function expectedOf(fields: HeaderFields): Expected {
  const isChunked = fields.get('transfer-encoding') !== null
  const length = isChunked ? null : announcedLength(fields.get('content-length'))
  const endsConnection = (!isChunked && length === null) || /\bclose\b/i.test(fields.get('connection') ?? '')
  return { length: length ?? Number.POSITIVE_INFINITY, room: endsConnection ? ROOM_BEFORE_THE_END : ROOM }
}

function announcedLength(value: string | null): number | null {
  return value !== null && /^\d{1,15}$/.test(value) ? Number(value) : null
}
