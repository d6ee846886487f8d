// The few things that the file store asks of a file system, and the real one that it asks by default.
// Must never answer before the disk has what it was given: `write` and `syncFolder` are what durability rests on.

import { constants, type FSWatcher, watch } from 'node:fs'
import { access, type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { dirname } from 'node:path'
import { platform } from 'node:process'
import { lock as takeLock } from 'proper-lockfile'

/** A new file that only its creator has open. */
export interface NewFile {
  /** Writes the whole content and waits until the disk has it. */
  write(text: string): Promise<void>
  close(): Promise<void>
}

/** What the file store needs of a file system. Paths are absolute; anything not told here fails with the system's error. */
export interface FileLayer {
  /** Makes the folder, with those above it, for its owner alone: the topmost one that it made, undefined for none. */
  makeFolder(path: string): Promise<string | undefined>
  /** Who besides the owner may enter the folder or read in it: permission bits, 0 where there are none. */
  othersMay(path: string): Promise<number>
  /** The names in a folder, in no order. */
  list(folder: string): Promise<readonly string[]>
  /** The content of a file; undefined when it is not there. */
  read(path: string): Promise<string | undefined>
  exists(path: string): Promise<boolean>
  /** Creates a file for its owner alone; fails when it is there already. */
  create(path: string): Promise<NewFile>
  /** Gives a file another name, in place of what has that name. False when `from` is not there; then nothing happens. */
  rename(from: string, to: string): Promise<boolean>
  /** Removes a file; one that is not there is fine. */
  remove(path: string): Promise<void>
  /** Waits until the disk has the names in a folder. */
  syncFolder(path: string): Promise<void>
  /** Takes a lock that other processes respect; undefined when somebody has it. A dead holder's lock ends by itself. */
  lock(path: string): Promise<(() => Promise<void>) | undefined>
  /** Tells the names that change in a folder; null when it is not known which. */
  watch(folder: string, listener: (name: string | null) => void): () => void
}

/** A lock whose holder shows no sign of life for so long is free; the shortest time that the lock library knows. */
const LOCK_STALE_MS = 2_000
/** File systems and clocks are not exact; a lock that is so far in the future was not made by them. */
const PREMATURE_MS = 10_000

/** Windows has no permission bits and cannot sync a folder. */
const hasPosixFolders = platform !== 'win32'

/** The file system of this machine. The folder must be on a local disk, not on a network share. */
export const nodeFileLayer: FileLayer = {
  makeFolder: (path) => mkdir(path, { recursive: true, mode: 0o700 }),
  othersMay: async (path) => (hasPosixFolders ? (await stat(path)).mode & 0o077 : 0),
  list: (folder) => readdir(folder),
  read: (path) => unlessMissing(readFile(path, 'utf8')),
  exists: isThere,
  async create(path) {
    const file = await open(path, 'wx', 0o600)
    try {
      // A umask may have taken bits away; the owner must be able to read the file again.
      await file.chmod(0o600)
    } catch (error) {
      await file.close()
      throw error
    }
    return {
      write: (text) => writeThrough(file, text),
      close: () => file.close(),
    }
  },
  rename: async (from, to) => (await unlessMissing(rename(from, to).then(() => true))) ?? false,
  remove: (path) => rm(path, { force: true }),
  async syncFolder(path) {
    if (!hasPosixFolders) return
    const folder = await open(path, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  },
  lock,
  watch(folder, listener) {
    let watcher: FSWatcher
    try {
      watcher = watch(folder, { persistent: false }, (_, name) => listener(name))
    } catch {
      // The system has no watches left. Nobody is told then; waiters look by themselves.
      return () => undefined
    }
    watcher.on('error', () => watcher.close())
    return () => watcher.close()
  },
}

async function writeThrough(file: FileHandle, text: string): Promise<void> {
  await file.writeFile(text, 'utf8')
  await file.sync()
}

async function lock(path: string): Promise<(() => Promise<void>) | undefined> {
  try {
    const release = await takeLock(path, {
      realpath: false,
      lockfilePath: path,
      stale: LOCK_STALE_MS,
      // Whoever lost the lock finds out when it writes: the file store does not rely on a lock for what is written.
      onCompromised: () => undefined,
    })
    // A lock that was taken over in the meantime cannot be given back, and a broken one ends by itself.
    return () => release().catch(() => undefined)
  } catch (error) {
    if (codeOf(error) === 'ELOCKED') {
      await agePremature(path)
      return undefined
    }
    // Of several that find a dead holder's lock at once, one may take away what another has just put in its place. Whoever
    // lost its lock so has none, which is no error; a folder that is not there is.
    if (codeOf(error) === 'ENOENT' && (await isThere(dirname(path)))) return undefined
    throw error
  }
}

/**
 * A lock from the future was last touched before the clock was set back. It gets the time of now: a dead holder's is free as
 * soon as any, and a living holder takes it for lost, which costs nothing that is written.
 */
async function agePremature(path: string): Promise<void> {
  const found = await unlessMissing(stat(path))
  if (found === undefined || found.mtimeMs < Date.now() + PREMATURE_MS) return
  const now = new Date()
  await unlessMissing(utimes(path, now, now))
}

async function isThere(path: string): Promise<boolean> {
  return (await unlessMissing(access(path, constants.F_OK).then(() => true))) ?? false
}

/** The system's error code of a failed call, such as `ENOSPC`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}
