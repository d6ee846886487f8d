// Whether the parts of a record are of one channel: its key, its place, its descriptor and its channel id.
// Must never let a record be signed for that names one payee in its key and another one in its descriptor.

import { descriptorSchema, parseHex } from '../protocol/index.js'
import { computeChannelId, effectiveSigner, sameHex } from '../tempo/index.js'
import { channelKey, type SessionRecord, secondaryKey } from './record.js'

/** What does not fit in the record that stands under `key`, by the names of its members; null when all of it does. */
export function misfitOf(record: SessionRecord, key: string): string | null {
  const { place, session } = record
  const own = channelKey(place)
  if (record.key !== key) return 'key: it is the record of another channel'
  if (key !== own && (session.channelId === null || key !== secondaryKey(own, session.channelId))) {
    return 'place: it is not that of the key'
  }
  if (session.channelId === null) return session.descriptor === null ? null : 'session.descriptor: without a channel id'
  const channelId = parseHex(session.channelId, 32)
  if (!channelId.ok) return 'session.channelId: expected 0x and 32 bytes of hex'
  const read = descriptorSchema.safeParse(session.descriptor)
  if (!read.success) return 'session.descriptor: expected that of a channel'
  const descriptor = read.data
  for (const name of ['payer', 'payee', 'token', 'operator'] as const) {
    if (!sameHex(descriptor[name], place[name])) return `session.descriptor.${name}: it is not that of the key`
  }
  if (!sameHex(effectiveSigner(descriptor), place.signer)) {
    return 'session.descriptor.authorizedSigner: it is not the signer of the key'
  }
  return sameHex(computeChannelId(descriptor, place), channelId.value)
    ? null
    : 'session.channelId: it is not that of the descriptor'
}

/** How many keys are remembered: the channels that a process uses, not all that have ended. */
const REMEMBERED = 4_096

/** What was found to fit under a key: the very objects, and what is in them. */
interface Fitting {
  readonly place: SessionRecord['place']
  readonly descriptor: SessionRecord['session']['descriptor']
  readonly channelId: string | null
  readonly parts: string
}

/**
 * The same question, asked anew only for what was not found to fit before: a hash takes longer than all else about a record.
 * Changes of a record keep its place and its descriptor as they are, so that most are known by those; what was read from a
 * disk is known by its text.
 */
export function rememberingMisfits(): typeof misfitOf {
  const known = new Map<string, Fitting>()
  return (record, key) => {
    const { place, session } = record
    const { channelId, descriptor } = session
    const before = known.get(key)
    const isSame =
      before?.place === place &&
      before.descriptor === descriptor &&
      before.channelId === channelId &&
      record.key === key
    if (isSame) return null
    const parts = JSON.stringify([record.key, place, channelId, descriptor])
    if (before?.parts !== parts) {
      const misfit = misfitOf(record, key)
      if (misfit !== null) return misfit
      if (known.size >= REMEMBERED) known.clear()
    }
    known.set(key, { place, descriptor, channelId, parts })
    return null
  }
}
