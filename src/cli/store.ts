// Opens the ledger of the command line: a folder with a file for each channel.
// Must never be in memory: what is signed by one command has to be known to the next.

import { join } from 'node:path'
import envPaths from 'env-paths'
import { fileStore } from '../sessions/file-store.js'
import type { SessionStore } from '../sessions/index.js'
import { usageError } from './exit.js'

/** The options that say where the ledger is. */
interface StoreOptions {
  readonly store?: string | undefined
}

/** The folder of the ledger. */
export function storeFolder({ store }: StoreOptions): string {
  return store ?? join(envPaths('mpp-flow', { suffix: '' }).data, 'sessions')
}

/** @throws CommandError when the folder has no name. */
export function openStore(options: StoreOptions): SessionStore {
  const folder = storeFolder(options)
  if (folder === '') throw usageError('--store and MPP_FLOW_STORE take the name of a folder')
  return fileStore(folder)
}
