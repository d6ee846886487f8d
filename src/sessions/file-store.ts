// Keeps one readable file per channel in a folder of its own, for all processes of one machine.
// Must never overwrite what it cannot read, nor let two processes write from the same state.
//
// A change takes the channel's lock, so that processes wait for each other instead of working in vain. But locks of files
// expire by time: a process that was stopped for long, or two that find the same dead lock, can both believe that they hold
// it. What keeps their writes apart is the temporary file: each writer first creates its own, then removes those of all
// others, then reads, and at last renames its temporary file into place. Of two that overlap, the later one has removed the
// temporary file of the earlier one, whose rename then fails: it starts again from what the later one wrote. A change that
// depends on what is kept under other keys says so in the name of its temporary file: it removes the temporary files of
// those, and is removed by who changes them.

import { randomUUID } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import { pid } from 'node:process'
import { fn, objectWith, optionsOf, readOptions, text } from '../options/index.js'
import { type ChannelState, NOTHING_KEPT } from './channel-state.js'
import { allOrRefuse, type StoreBackend, storeOf } from './durable-store.js'
import {
  fileText,
  isTemporaryFile,
  readFileText,
  recordFile,
  stemOf,
  stemOfFile,
  temporaryFile,
  temporaryFileChanges,
  temporaryFileReads,
} from './file-store-format.js'
import { codeOf, type FileLayer, nodeFileLayer } from './file-store-layer.js'
import type { Transact } from './group-commit.js'
import { createListeners } from './listeners.js'
import type { SessionRecord } from './record.js'
import { UnreadableRecord } from './record-format.js'
import { isOfOneRecord, type SessionStore, StoreError } from './store.js'

export interface FileStoreOptions {
  /** The clock of leases, in milliseconds since the epoch. All processes of a folder must share it. */
  readonly now?: () => number
  /** The file system. Default: that of this machine. */
  readonly layer?: FileLayer
}

/** A store in a folder. */
export interface FileStore extends SessionStore {
  /**
   * Makes sure that records can be read and, unless `use` is `read`, written, by writing and removing a file of its own. A
   * program that calls it at its start has sent nothing yet; without it, a folder that cannot be used is found when the
   * first channel is looked up.
   *
   * @throws StoreError `unavailable`: the message names the folder and says what to do.
   */
  check(use?: 'read' | 'write'): Promise<void>
}

const fileStoreOptions = optionsOf({
  now: fn<() => number>().optional(),
  layer: objectWith<FileLayer>(Object.keys(nodeFileLayer), 'a file layer with all methods of nodeFileLayer').optional(),
} satisfies Record<keyof FileStoreOptions, unknown>)

/** How long a change waits for the lock of its channel: a dead holder's is free after two to three seconds. */
const LOCK_TIMEOUT_MS = 15_000
const LOCK_LOOK_MS = 6
/** Losing the temporary file this often in a row means that somebody does not respect the lock at all. */
const MAX_ATTEMPTS = 100
const MAX_BACKOFF = 10
const READ_AT_ONCE = 32

/**
 * Keeps records as files in `folder`, which is created for its owner alone and must be on a local disk.
 *
 * @throws OptionError for options that cannot be read; StoreError from its methods: `damaged` when a file cannot be read (it
 * is quarantined, and its channel refused until a good file is put in its place or the one quarantined is removed),
 * `newer_format`; `unavailable` with the folder, the system's code and what to do; `busy` when other processes held a
 * channel's lock for too long.
 *
 * @example
 * ```ts
 * import { createMppClient } from 'mpp-flow'
 * import { fileStore } from 'mpp-flow/files'
 * import type { LocalAccount } from 'viem'
 *
 * export function payer(account: LocalAccount) {
 *   return createMppClient({ account, store: fileStore('/var/lib/agent/channels') })
 * }
 * ```
 */
export function fileStore(folder: string, options: FileStoreOptions = {}): FileStore {
  const { layer = nodeFileLayer, now = Date.now } = readOptions(fileStoreOptions, options)
  const files = createFiles(resolve(readOptions(text, folder, ['folder'])), layer, now)
  return { ...storeOf(files), check: files.check }
}

function createFiles(folder: string, layer: FileLayer, now: () => number): StoreBackend & Pick<FileStore, 'check'> {
  const at = (name: string): string => join(folder, name)
  let prepared: Promise<void> | undefined
  let isPrepared = false
  let unwatch: (() => void) | undefined
  const watchedStems = new Map<string, string>()
  const listeners = createListeners((keys) => {
    if (keys === 0) {
      unwatch?.()
      unwatch = undefined
      watchedStems.clear()
    }
  })

  /** Makes the folder, once; a folder that others may enter is refused, because records hold signatures. */
  function prepare(): Promise<void> {
    prepared ??= ready().catch((error: unknown) => {
      prepared = undefined
      throw error
    })
    return prepared
  }

  async function ready(): Promise<void> {
    const made = await layer.makeFolder(folder)
    // A folder is on the disk once the one above it says so.
    for (let below = folder; made !== undefined; below = dirname(below)) {
      await layer.syncFolder(dirname(below))
      if (below === made || below === dirname(below)) break
    }
    const bits = await layer.othersMay(folder)
    if (bits === 0) {
      isPrepared = true
      return
    }
    const what = `the folder ${folder} is open to other users (permissions ${bits.toString(8).padStart(3, '0')} for others)`
    throw new StoreError(
      'unavailable',
      `${what}; records hold signatures, so nothing was read or written: chmod 700 it`,
    )
  }

  /** What is kept under a stem. @throws UnreadableRecord; StoreError when it was quarantined before. */
  async function load(stem: string): Promise<{ readonly key: string; readonly state: ChannelState } | undefined> {
    const text = await layer.read(at(recordFile(stem)))
    if (text !== undefined) return readFileText(text, stem)
    if (await layer.exists(at(quarantinedFile(stem)))) throw refusedBefore(stem)
    return undefined
  }

  /** As {@link load}; a damaged file is quarantined, under the lock, so that nobody is writing it. */
  async function loadOrQuarantine(stem: string) {
    try {
      return await load(stem)
    } catch (error) {
      if (!(error instanceof UnreadableRecord)) throw error
      return underLock([stem], () => validate(stem, () => load(stem)))
    }
  }

  /** Runs what reads a file, under the lock: one that is damaged is quarantined, one of a newer version left alone. */
  async function validate<T>(stem: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof UnreadableRecord)) throw error
      const path = at(recordFile(stem))
      if (error.reason === 'newer_format') {
        const advice = 'Nothing was signed or changed. Use the newer version for this folder'
        throw new StoreError('newer_format', `${path} was written by a newer version: ${error.message}. ${advice}`)
      }
      const quarantined = await quarantine(stem)
      const what = `the record in ${path} cannot be read: ${error.message}. It was quarantined as ${quarantined}`
      throw new StoreError('damaged', `${what}. ${REPAIR}`)
    }
  }

  async function quarantine(stem: string): Promise<string> {
    let quarantined = quarantinedFile(stem)
    for (let more = 2; await layer.exists(at(quarantined)); more += 1) quarantined = `${quarantinedFile(stem)}-${more}`
    await layer.rename(at(recordFile(stem)), at(quarantined))
    await layer.syncFolder(folder)
    return quarantined
  }

  function refusedBefore(stem: string): StoreError {
    const what = `the record of this channel could not be read and was quarantined as ${at(quarantinedFile(stem))}`
    return new StoreError('damaged', `${what}. ${REPAIR}`)
  }

  /** Runs what needs the locks of some stems. They are taken in one order, so that no two wait for each other. */
  async function underLock<T>(stems: readonly string[], work: () => Promise<T>): Promise<T> {
    const [first, ...more] = [...stems].sort()
    if (first === undefined) return work()
    const release = await lock(first)
    try {
      return await underLock(more, work)
    } finally {
      await release()
    }
  }

  async function lock(stem: string): Promise<() => Promise<void>> {
    // Whatever clock leases have, and however the machine's is set meanwhile.
    const deadline = performance.now() + LOCK_TIMEOUT_MS
    for (;;) {
      const release = await layer.lock(at(`${stem}.lock`))
      if (release !== undefined) return release
      if (performance.now() > deadline) {
        const what = `other processes held ${at(`${stem}.lock`)} for too long`
        throw new StoreError('busy', `${what}; nothing was written, the same may be tried again`)
      }
      await pause(LOCK_LOOK_MS)
    }
  }

  /** One attempt to change what is kept. False when another writer took the temporary file away: nothing was written then. */
  async function attempt(key: string, others: readonly string[], apply: Parameters<Transact>[2]): Promise<boolean> {
    const stem = stemOf(key)
    const reads = others.map(stemOf)
    const temporary = temporaryFile(stem, `${pid}-${randomUUID()}`, reads)
    const file = await layer.create(at(temporary))
    let placed = false
    try {
      await removeConflicting(stem, reads, temporary)
      const stateAt = async (of: string) => (await validate(of, () => load(of)))?.state ?? NOTHING_KEPT
      const before = await stateAt(stem)
      const otherStates = new Map<string, ChannelState>()
      for (const other of others) otherStates.set(other, await stateAt(stemOf(other)))
      const after = apply(before, { now: now(), others: otherStates })
      if (after === before) {
        await file.close()
        return true
      }
      await file.write(fileText(key, after))
      await file.close()
      placed = await layer.rename(at(temporary), at(recordFile(stem)))
      if (placed) await layer.syncFolder(folder)
      return placed
    } catch (error) {
      // Closing twice is harmless; a file that cannot be closed adds nothing to what went wrong before.
      await file.close().catch(() => undefined)
      throw error
    } finally {
      // What is left behind here is removed by the next writer.
      if (!placed) await layer.remove(at(temporary)).catch(() => undefined)
    }
  }

  /** Removes the temporary files that would change what this one is made from, and those made from what this one changes. */
  async function removeConflicting(stem: string, reads: readonly string[], own: string): Promise<void> {
    const used = [stem, ...reads]
    const temporaryFiles = (await layer.list(folder)).filter((name) => name !== own && isTemporaryFile(name))
    const conflicting = temporaryFiles.filter(
      (name) => temporaryFileReads(name, stem) || used.some((of) => temporaryFileChanges(name, of)),
    )
    await Promise.all(conflicting.map((name) => layer.remove(at(name))))
  }

  async function listRecords(): Promise<readonly SessionRecord[]> {
    const names = await layer.list(folder)
    const quarantinedStems = names.flatMap((name) => /^(.*)\.damaged$/.exec(name)?.[1] ?? [])
    const stems = new Set([...names.flatMap((name) => stemOfFile(name) ?? []), ...quarantinedStems])
    const records: SessionRecord[] = []
    const refusals: StoreError[] = []
    const all = [...stems].sort()
    for (let from = 0; from < all.length; from += READ_AT_ONCE) {
      await Promise.all(
        all.slice(from, from + READ_AT_ONCE).map(async (stem) => {
          try {
            const record = (await loadOrQuarantine(stem))?.state.record
            if (record !== undefined) records.push(record)
          } catch (error) {
            if (!(error instanceof StoreError) || !isOfOneRecord(error)) throw error
            refusals.push(error)
          }
        }),
      )
    }
    return allOrRefuse(records, refusals)
  }

  return {
    async read(key) {
      return wrapErrors(folder, 'read', async () => {
        await prepare()
        const state = (await loadOrQuarantine(stemOf(key)))?.state ?? NOTHING_KEPT
        return { state, now: now() }
      })
    },
    list: () => wrapErrors(folder, 'read', () => prepare().then(listRecords)),
    async transact(key, others, apply) {
      await wrapErrors(folder, 'written', async () => {
        await prepare()
        await underLock([key, ...others].map(stemOf), async () => {
          for (let tries = 0; tries < MAX_ATTEMPTS; tries += 1) {
            if (await attempt(key, others, apply)) return
            // Two that take each other's temporary files away would go on doing so in step.
            await pause(LOCK_LOOK_MS * Math.min(tries + 1, MAX_BACKOFF))
          }
          throw new StoreError('unavailable', `other processes write ${at(recordFile(stemOf(key)))} without its lock`)
        })
      })
      listeners.emit(key)
    },
    async check(use = 'write') {
      await wrapErrors(folder, 'read', () => prepare().then(() => layer.list(folder)))
      if (use === 'read') return
      await wrapErrors(folder, 'written', async () => {
        const own = at(temporaryFile('check', `${pid}-${randomUUID()}`, []))
        const file = await layer.create(own)
        try {
          await file.write('This file can be removed.\n')
        } finally {
          await file.close()
          await layer.remove(own)
        }
      })
    },
    watch(key, listener) {
      const stop = listeners.add(key, listener)
      watchedStems.set(recordFile(stemOf(key)), key)
      unwatch ??= startWatching()
      return stop
    },
  }

  function startWatching(): () => void {
    if (isPrepared) return layer.watch(folder, tellOf)
    let stop: (() => void) | undefined
    let stopped = false
    const start = (): void => {
      if (stopped) return
      stop = layer.watch(folder, tellOf)
      // What changed while the folder was not there yet would never be told.
      listeners.emitAll()
    }
    // Whoever reads or writes next gets the error; a watch is best effort.
    prepare().then(start, () => undefined)
    return () => {
      stopped = true
      stop?.()
    }
  }

  function tellOf(name: string | null): void {
    const key = name === null ? undefined : watchedStems.get(name)
    if (key !== undefined) listeners.emit(key)
    else if (name === null) listeners.emitAll()
  }
}

const REPAIR =
  'Nothing was signed for it. Put a good copy in place of the file, or remove what was quarantined and let the channel be found on the chain; until then this channel is not used'

function pause(upToMs: number): Promise<void> {
  return new Promise((done) => setTimeout(done, 1 + Math.random() * upToMs))
}

function quarantinedFile(stem: string): string {
  return `${stem}.damaged`
}

/** What to do about an error of the system, by its code. */
const MENDING: Readonly<Record<string, string>> = {
  EACCES: 'give the user of this process permission to read and write it, or name another folder',
  EPERM: 'give the user of this process permission to read and write it, or name another folder',
  EROFS: 'it is on a file system that is read-only: mount it for writing',
  ENOSPC: 'the disk is full: free some space',
  EDQUOT: 'the quota of this user is used up: free some space, or raise it',
  ENOTDIR: 'a part of its path is a file: name another folder',
  EEXIST: 'there is a file of this name: name another folder',
  ENOENT: 'it is gone: put it back, with the records that were in it',
  EMFILE: 'this process has too many files open: raise the limit, or do less at once',
  ENFILE: 'the system has too many files open: raise the limit, or do less at once',
}

/** Does what touches files; the system's errors come out as refusals with their code, and without their text. */
async function wrapErrors<T>(folder: string, what: 'read' | 'written', work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof StoreError) throw error
    const code = codeOf(error)
    if (code === undefined) throw error
    const mending = MENDING[code] ?? 'check the disk and the folder'
    const where = `the records in the folder ${folder} cannot be ${what} (${code})`
    throw new StoreError('unavailable', `${where}: ${mending}. What was signed since and not kept must not be sent`)
  }
}
