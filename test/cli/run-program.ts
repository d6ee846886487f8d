// Runs the program as a person does: a child process with arguments, an environment and two outputs.
// Must never give it anything of this process's environment that a test did not mean to give.

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** What a command marks the end of a call with, see calls.ts. */
export const END_OF_CALL = '\u001e'

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** Standard output, byte for byte. */
  readonly bytes: Buffer
}

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** Resolves once an output holds a text. @throws when the process ends before. */
  saw(text: string): Promise<void>
}

/** Everything that any program of this file has printed, for who looks for secrets in it. */
export const printed: { readonly args: readonly string[]; readonly stdout: string; readonly stderr: string }[] = []

/** Starts a script of this project: the program itself unless another one is named. */
export function start(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  { script = 'src/cli/main.ts', input = '' }: { readonly script?: string; readonly input?: string | Uint8Array } = {},
): Running {
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...args], {
    cwd: ROOT,
    env: { ...inherited(), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.on('error', () => undefined).end(input)
  const out: Buffer[] = []
  const err: Buffer[] = []
  const listeners = new Set<() => void>()
  const collect = (chunks: Buffer[]) => (chunk: Buffer) => {
    chunks.push(chunk)
    for (const listener of [...listeners]) listener()
  }
  child.stdout.on('data', collect(out))
  child.stderr.on('data', collect(err))
  const texts = () => ({ stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() })
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => {
      printed.push({ args, ...texts() })
      resolve({ code, ...texts(), bytes: Buffer.concat(out) })
    })
  })
  const saw = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = (): void => {
        const { stdout, stderr } = texts()
        if (!stdout.includes(text) && !stderr.includes(text)) return
        listeners.delete(look)
        resolve()
      }
      listeners.add(look)
      look()
      void ended.then(({ stderr }) => reject(new Error(`it ended before it said "${text}": ${stderr}`)))
    })
  return { child, ended, saw }
}

/** Runs the program to its end. */
export function run(...given: Parameters<typeof start>): Promise<Ended> {
  return start(...given).ended
}

/** What became of one of many command lines. */
export interface Call {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs many command lines one after another in one child process, which costs one start. */
export async function runAll(
  lines: readonly (readonly string[])[],
  env: Readonly<Record<string, string>>,
): Promise<Call[]> {
  const { stdout, stderr, code } = await run([JSON.stringify(lines)], env, { script: 'test/cli/calls.ts' })
  if (code !== 0) throw new Error(`calls ended with ${code}: ${stderr}`)
  const outs = stdout.split(END_OF_CALL)
  // Behind the mark stands the exit code of the call that it ends.
  const [first = '', ...rest] = stderr.split(END_OF_CALL)
  const ends = rest.map((text) => /^(\d+)\n([\s\S]*)$/.exec(text))
  return lines.map((_, index) => ({
    code: Number(ends[index]?.[1]),
    stdout: outs[index] ?? '',
    stderr: index === 0 ? first : (ends[index - 1]?.[2] ?? ''),
  }))
}

function inherited(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name, value]) => value !== undefined && !/^(MPP_FLOW_|NO_COLOR$|FORCE_COLOR$)/.test(name),
  )
  return Object.fromEntries(kept.map(([name, value]) => [name, value ?? '']))
}
