// Where private keys come from: an environment variable, or a file that nobody else can read.
// Must never take a key from an argument, nor repeat one, or anything that looks like one, in a message.

import { constants, type FileHandle, open } from 'node:fs/promises'
import type { LocalAccount } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { usageError } from './exit.js'

/** Which key is meant: the names of its environment variable and of the option that names its file. */
export interface KeySource {
  readonly variable: 'MPP_FLOW_KEY' | 'MPP_FLOW_VOUCHER_KEY'
  readonly option: '--key-file' | '--voucher-key-file'
}

export const PAYER_KEY: KeySource = { variable: 'MPP_FLOW_KEY', option: '--key-file' }
export const VOUCHER_KEY: KeySource = { variable: 'MPP_FLOW_VOUCHER_KEY', option: '--voucher-key-file' }

const LOOKS_LIKE_KEY = /(0x)?[0-9a-f]{64}/i
const KEY = /^(?:0x)?([0-9a-f]{64})$/i

/**
 * The account of a key: from the file when one is named, from the environment variable otherwise. The variable is
 * removed from this process's environment, so that no child process inherits it.
 *
 * @returns undefined when neither is given.
 * @throws CommandError when the file cannot be read or is open to others, or when there is no key in it.
 */
export async function readAccount(source: KeySource, file: string | undefined): Promise<LocalAccount | undefined> {
  const { variable } = source
  const fromEnvironment = process.env[variable]
  delete process.env[variable]
  if (file !== undefined) return accountOf(await readKeyFile(source, file), `the file of ${source.option}`)
  return fromEnvironment === undefined || fromEnvironment === '' ? undefined : accountOf(fromEnvironment, variable)
}

function accountOf(text: string, where: string): LocalAccount {
  const digits = KEY.exec(text.trim())?.[1]
  if (digits === undefined) throw usageError(`${where} does not hold a private key (64 hexadecimal digits)`)
  try {
    return privateKeyToAccount(`0x${digits}`)
  } catch {
    // What it says may quote the key.
    throw usageError(`${where} holds a number that is no valid private key`)
  }
}

async function readKeyFile({ option }: KeySource, file: string): Promise<string> {
  if (LOOKS_LIKE_KEY.test(file)) {
    throw usageError(`${option} takes the name of a file, not a key. If it was a key in use, replace it`)
  }
  const handle = await openFile(option, file)
  try {
    await refuseOpenToOthers(handle, option, file)
    // One line. A file that is longer is no key file, whatever it is.
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(256), 0, 256, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}

async function openFile(option: string, file: string): Promise<FileHandle> {
  try {
    // Not waiting for a writer, should it be a pipe: that is refused below.
    return await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw usageError(`${option}: ${file} cannot be read (${why})`)
  }
}

/** Looks at the file that is open, so that it cannot be another one by the time it is read. */
async function refuseOpenToOthers(handle: FileHandle, option: string, file: string): Promise<void> {
  const found = await handle.stat()
  if (!found.isFile()) throw usageError(`${option}: ${file} is not a regular file`)
  // Windows has no such modes: there the folder's permissions are what protects it.
  if (process.platform === 'win32') return
  const mode = found.mode & 0o777
  if ((mode & 0o077) === 0) return
  throw usageError(
    `${option}: ${file} can be used by others (mode ${mode.toString(8).padStart(4, '0')}). ` +
      `Run "chmod 600 ${file}", and replace the key if somebody may have read it`,
  )
}
