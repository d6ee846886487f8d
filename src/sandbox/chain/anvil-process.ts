// Runs one anvil in Tempo mode and makes sure that it never outlives the program that asked for it.
// Must never touch the host program's signal handling, nor write to its terminal.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { findAnvil } from './anvil-binary.js'

const START_TIMEOUT_MS = 15_000
const MAX_ERROR_CHARACTERS = 2_000

/**
 * The guard between us and anvil. It holds the reading end of a pipe whose writing end is ours alone: when this
 * process ends, in whatever way (exit, crash, SIGKILL), the operating system closes the pipe and the guard kills
 * anvil. It runs in a process group of its own, so Ctrl-C in a terminal reaches only the host program, which can then
 * still close channels on a chain that is there.
 */
const GUARD = `
const { spawn } = require('node:child_process')
const [program, ...args] = process.argv.slice(1)
const chain = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'], windowsHide: true })
const end = () => chain.kill('SIGKILL')
process.stdin.on('end', end).on('error', end).resume()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, end)
chain.on('error', (error) => { process.stderr.write(error.message); process.exit(1) })
chain.on('exit', (code) => process.exit(code ?? 1))
`

/**
 * An address of this machine's own that nobody can guess. anvil takes every method from whoever reaches it, a WebSocket of
 * any web page too; a page can try all ports of `127.0.0.1`, but not all of 16 million addresses. Where there are no others
 * (macOS), it is `127.0.0.1`, and the port alone is not known.
 */
async function loopbackAddress(): Promise<string> {
  const address = `127.${randomInt(1, 255)}.${randomInt(0, 256)}.${randomInt(2, 255)}`
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve('127.0.0.1'))
    probe.listen(0, address, () => probe.close(() => resolve(address)))
  })
}

/** A running anvil. */
export interface AnvilProcess {
  readonly url: string
  /** Resolves when anvil is gone. May be called more than once. */
  stop(): Promise<void>
}

/**
 * Starts anvil on a free port that the operating system picks, closed to web pages, and waits until it listens.
 *
 * @param args - Arguments besides host and port.
 * @throws AnvilMissing, or an Error with what anvil wrote to its error output.
 */
export async function startAnvil(args: readonly string[]): Promise<AnvilProcess> {
  // Its guard is started by the program that runs this one, and Deno takes no script by argument.
  if ('Deno' in globalThis)
    throw new Error('The sandbox does not run on Deno: run `npx mpp-flow sandbox` and give its URLs to this program.')
  const program = findAnvil()
  // NODE_OPTIONS of the host (loaders, inspectors) are not meant for the guard.
  const { NODE_OPTIONS: _, ...env } = process.env
  const host = await loopbackAddress()
  const listening = ['--host', host, '--port', '0', '--no-cors']
  const guard = spawn(process.execPath, ['-e', GUARD, '--', program, ...listening, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    windowsHide: true,
    env,
  })
  const exited = new Promise<void>((resolve) => guard.once('close', () => resolve()))
  const stop = async () => {
    guard.stdin.end()
    await exited
  }
  // The guard may be gone before the pipe is closed; that is what closing it is for.
  guard.stdin.on('error', () => undefined)

  try {
    const port = await listeningPort(guard)
    return { url: `http://${host}:${port}`, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Reads anvil's output until it names its port; afterwards the output is drained and dropped. */
function listeningPort(guard: ChildProcessByStdio<Writable, Readable, Readable>): Promise<number> {
  let complaint = ''
  guard.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-MAX_ERROR_CHARACTERS)
  })
  const lines = createInterface({ input: guard.stdout })
  return new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('The local chain did not start in time')), START_TIMEOUT_MS)
    const fail = (why: string) => {
      clearTimeout(timer)
      reject(new Error(`The local chain did not start: ${complaint.trim() || why}`))
    }
    guard.once('error', (error) => fail(error.message))
    guard.once('close', (code) => fail(`exit code ${code}`))
    lines.on('line', (line) => {
      const port = /^Listening on 127(?:\.\d{1,3}){3}:(\d+)$/.exec(line.trim())?.[1]
      if (port === undefined) return
      clearTimeout(timer)
      lines.close()
      guard.stdout.resume()
      resolve(Number(port))
    })
  })
}
