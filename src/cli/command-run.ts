// Runs one command: where it may write, what a signal does to it, and which exit code comes of what it throws.
// Must never leave a process behind, nor print a key: messages that are not our own are cut before they are shown.

import pc from 'picocolors'
import type { LocalCode } from '../../machines/index.js'
import { StoreError } from '../sessions/store.js'
import { CommandError, type EndingSignal, EXIT, EXIT_OF_SIGNAL, exitOf } from './exit.js'
import type { Colors } from './transition-words.js'

/** What a command works with. */
export interface CommandRun {
  /** Whether standard output is read by a program: one JSON document, or one on each line. */
  readonly json: boolean
  /** Writes to standard output; resolves once there is room for more. Mute once the command is being left. */
  write(text: string | Uint8Array): Promise<void>
  /** Writes a line to standard error. */
  note(line: string): void
  /** Writes a line to standard error that begins with the name of the command. */
  complain(line: string): void
  /** One JSON document on a line of its own. */
  writeJson(document: object): Promise<void>
  /** For standard output. */
  readonly colors: Colors
  /** For standard error. */
  readonly noteColors: Colors
  /** To be stopped before a signal ends the process. */
  onLeave(stop: () => Promise<void>): void
  /** Called at the first signal in place of leaving; the command ends by itself then. A second signal leaves at once. */
  onSignal(handle: (signal: EndingSignal) => void): void
  /** Ends the process as the signal does, once what was given to `onLeave` has stopped. */
  leave(signal: EndingSignal): void
}

/** Long enough for a key, a signature or a transaction. */
const SECRET_LENGTHS = /(0x)?[0-9a-f]{64,}/gi

/** A text of unknown origin without anything that may be a key or a signature. */
export function withoutSecrets(text: string): string {
  return text.replace(SECRET_LENGTHS, '…')
}

/** The first line of what an error says, without anything that may be a secret. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : 'something failed'
  return withoutSecrets(text.split('\n', 1)[0] ?? '')
}

/** What a command that failed says to programs. */
export function errorDocument(code: string, message: string, exitCode: number): object {
  return { status: 'failed', exitCode, error: { code, message } }
}

/** Colours for a stream, where it is a terminal that has them. */
function colorsOf(stream: NodeJS.WriteStream): Colors {
  return pc.createColors(stream.isTTY === true && pc.isColorSupported)
}

/**
 * Runs a command to its end.
 *
 * @param name of the command, as it stands in front of its complaints.
 * @returns its exit code. A signal, and a standard output that is closed, end the process instead.
 */
export async function runCommand(
  name: string,
  json: boolean,
  work: (run: CommandRun) => Promise<number>,
): Promise<number> {
  let leaving = false
  const stops: (() => Promise<void>)[] = []
  let handle: ((signal: EndingSignal) => void) | null = null
  let signalled = false

  const leave = (code: number): void => {
    leaving = true
    const stopped = Promise.allSettled(stops.map((stop) => stop()))
    void stopped.then(() => process.exit(code))
  }
  const listeners = signalNames().map((signal) => {
    const listener = (): void => {
      if (handle === null || signalled) leave(EXIT_OF_SIGNAL[signal])
      else {
        signalled = true
        handle(signal)
      }
    }
    process.on(signal, listener)
    return () => process.off(signal, listener)
  })
  // Whoever reads has gone, such as `head`: there is nobody to show anything to.
  const closed = (): void => leave(EXIT.failed)
  process.stdout.on('error', closed)
  process.stderr.on('error', ignore)

  const note = (line: string): void => {
    if (!leaving) process.stderr.write(`${line}\n`)
  }
  const run: CommandRun = {
    json,
    note,
    complain: (line) => note(`${name}: ${line}`),
    write: (text) => (leaving ? Promise.resolve() : written(process.stdout, text)),
    writeJson: (document) => run.write(`${JSON.stringify(document)}\n`),
    colors: colorsOf(process.stdout),
    noteColors: colorsOf(process.stderr),
    onLeave: (stop) => stops.push(stop),
    onSignal: (handler) => {
      handle = handler
    },
    leave: (signal) => leave(EXIT_OF_SIGNAL[signal]),
  }
  try {
    return await work(run)
  } catch (error) {
    const { exit, code, message } = refusalOf(error)
    if (json) await run.writeJson(errorDocument(code, message, exit))
    else run.complain(message)
    return exit
  } finally {
    for (const forget of listeners) forget()
    process.stdout.off('error', closed)
    process.stderr.off('error', ignore)
  }
}

/** What flows call the same. Not taken from there: they are loaded when a command needs them. */
const STORE_CODES: Readonly<Record<StoreError['reason'], LocalCode>> = {
  busy: 'session_unavailable',
  lease_lost: 'session_unavailable',
  unavailable: 'store_unavailable',
  damaged: 'store_damaged',
  newer_format: 'store_newer_format',
}

/** What an error means for the caller. Only messages of our own are shown whole. */
function refusalOf(error: unknown): { readonly exit: number; readonly code: string; readonly message: string } {
  if (error instanceof CommandError) return { exit: EXIT[error.exit], code: error.code, message: error.message }
  if (error instanceof StoreError) {
    const code = STORE_CODES[error.reason]
    return { exit: exitOf(code), code, message: error.message }
  }
  return { exit: EXIT.failed, code: 'internal_error', message: firstLine(error) }
}

function signalNames(): EndingSignal[] {
  return ['SIGINT', 'SIGTERM', 'SIGHUP']
}

/** A closed standard error is nothing to end for. */
function ignore(): void {}

/** Writes, and waits while the reader is slower than the writer. */
function written(stream: NodeJS.WriteStream, text: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    // An error of the stream is told to its own listeners.
    stream.write(text, () => resolve())
  })
}
