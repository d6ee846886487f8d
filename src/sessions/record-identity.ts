// Whether the parts of a record are of one channel: its key, its place, its descriptor and its channel id.
// Must never let a record be signed for that names one payee in its key and another one in its descriptor.

import { descriptorSchema, parseHex } from '../protocol/index.js'
import { computeChannelId, effectiveSigner, sameHex } from '../tempo/index.js'
import { channelKey, keyBeside, type SessionRecord } from './record.js'

/** What does not fit in the record that stands under `key`, by the names of its members; null when all of it does. */
export function misfitOf(record: SessionRecord, key: string): string | null {
  const { place, session } = record
  const own = channelKey(place)
  if (record.key !== key) return 'key: it is the record of another channel'
  if (key !== own && (session.channelId === null || key !== keyBeside(own, session.channelId))) {
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

/**
 * The same question, asked anew only for what was not found to fit before: a hash takes longer than all else about a record.
 *
 * @returns a function that tells what does not fit.
 */
export function rememberingMisfits(): typeof misfitOf {
  const objects = new WeakSet<SessionRecord>()
  const fitting = new Map<string, string>()
  return (record, key) => {
    const isKnown = objects.has(record) && record.key === key
    if (isKnown) return null
    const { place, session } = record
    const parts = JSON.stringify([record.key, place, session.channelId, session.descriptor])
    if (fitting.get(key) !== parts) {
      const misfit = misfitOf(record, key)
      if (misfit !== null) return misfit
      if (fitting.size >= REMEMBERED) fitting.clear()
      fitting.set(key, parts)
    }
    objects.add(record)
    return null
  }
}
