// Opens the ledger of the command line: a folder with a file for each channel.
// Must never be in memory: what is signed by one command has to be known to the next.

import { join } from 'node:path'
import envPaths from 'env-paths'
import { fileStore } from '../sessions/file-store.js'
import { type SessionStore, StoreError } from '../sessions/index.js'
import { CommandError, usageError } from './exit.js'

/** The options that say where the ledger is. */
interface StoreOptions {
  readonly store?: string | undefined
}

/** The folder of the ledger. */
export function storeFolder({ store }: StoreOptions): string {
  return store ?? join(envPaths('mpp-flow', { suffix: '' }).data, 'sessions')
}

/**
 * Opens the ledger, and makes sure that it can be used like that before anything is sent.
 *
 * @throws CommandError naming the folder, and what to do, when it cannot.
 */
export async function openStore(options: StoreOptions, use: 'read' | 'write'): Promise<SessionStore> {
  const folder = storeFolder(options)
  if (folder === '') throw usageError('--store and MPP_FLOW_STORE take the name of a folder')
  const store = fileStore(folder)
  try {
    await store.check(use)
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    throw new CommandError('usage', 'store_unavailable', `${error.message} (the folder of --store or MPP_FLOW_STORE)`)
  }
  return store
}
