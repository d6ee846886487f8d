// The text of a channel's file and its name: readable for a person, exact for the store.
// Must never name a file after unchecked text: a key may hold anything, and file systems differ in what they take.

import { createHash } from 'node:crypto'
import * as z from 'zod'
import { type ChannelState, NOTHING_KEPT } from './channel-state.js'
import { read, readJson, readRecord, UnreadableRecord } from './record-format.js'

/** Version of the file around the record, which has a format of its own. */
const FILE_FORMAT = 1

const RECORD_SUFFIX = '.json'
const TEMPORARY_SUFFIX = '.draft'
const FILE_NAME = /~[0-9a-f]{32}\.json$/
/** How much of each part of a key is shown: `0x` and eight digits of an address. */
const SHOWN = 10

/**
 * The stem of a key's file names: the beginnings of its parts for people, a digest of the whole key to be exact. The whole
 * key would be too long for most file systems; it stands in the file.
 */
export function stemOf(key: string): string {
  const parts = key.split(/[:#]/).map((part) => part.slice(0, SHOWN).replace(/[^0-9A-Za-z.-]/g, '-'))
  const digest = createHash('sha256').update(key).digest('hex').slice(0, 32)
  return `${parts.slice(0, 12).join('_')}~${digest}`
}

/** The name of the file that holds what is kept under the stem's key. */
export function recordFile(stem: string): string {
  return `${stem}${RECORD_SUFFIX}`
}

/** The stem of a record file; undefined for any other file. */
export function stemOfFile(name: string): string | undefined {
  return FILE_NAME.test(name) ? name.slice(0, -RECORD_SUFFIX.length) : undefined
}

/** The name of a temporary file: of what it changes, and of what it was made from besides. @param id nobody else's */
export function temporaryFile(stem: string, id: string, reads: readonly string[]): string {
  return `${stem}.${id}${reads.map(readMark).join('')}${TEMPORARY_SUFFIX}`
}

/** Names of files are short, and a mark that is another stem's as well does no harm: its writer tries again. */
function readMark(stem: string): string {
  return `+${stem.slice(stem.lastIndexOf('~') + 1).slice(0, 12)}`
}

export function isTemporaryFile(name: string): boolean {
  return name.endsWith(TEMPORARY_SUFFIX)
}

/** Whether a temporary file is about to take the place of the record file of a stem. */
export function temporaryFileChanges(name: string, stem: string): boolean {
  return name.startsWith(`${stem}.`)
}

/** Whether a temporary file depends on what the record file of a stem says. */
export function temporaryFileReads(name: string, stem: string): boolean {
  return name.includes(readMark(stem))
}

const fileFormat = z.looseObject({ file: z.number().int().positive() })

const channelFile = z.strictObject({
  file: z.literal(FILE_FORMAT),
  key: z.string(),
  lastToken: z.number().int().nonnegative(),
  lease: z
    .strictObject({
      holder: z.string(),
      token: z.number().int().positive(),
      expiresAt: z.number(),
      ttlMs: z.number(),
    })
    .nullable(),
  record: z.unknown(),
})

/** The text of a channel's file. */
export function fileText(key: string, { record, lease, lastToken }: ChannelState): string {
  return `${JSON.stringify({ file: FILE_FORMAT, key, record: record ?? null, lease: lease ?? null, lastToken }, null, 2)}\n`
}

/**
 * Reads the text of a channel's file.
 *
 * @param stem of the file it was read from: a file that was renamed or copied by hand is not taken for another channel's.
 * @throws UnreadableRecord
 */
export function readFileText(text: string, stem: string): { readonly key: string; readonly state: ChannelState } {
  const value = readJson(text)
  const { file } = read(fileFormat, value)
  if (file > FILE_FORMAT) {
    const both = `it has file format ${file}, and this version of mpp-flow reads formats up to ${FILE_FORMAT}`
    throw new UnreadableRecord('newer_format', both)
  }
  const { key, record, lease, lastToken } = read(channelFile, value)
  if (stemOf(key) !== stem) throw new UnreadableRecord('damaged', 'it is the file of another channel')
  if (lease !== null && lease.token > lastToken) {
    throw new UnreadableRecord('damaged', 'lease.token: newer than the last one given out')
  }
  const kept = record === null ? undefined : readRecord(record, key)
  return { key, state: { ...NOTHING_KEPT, record: kept, lease: lease ?? undefined, lastToken } }
}
