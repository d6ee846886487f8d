// The command `inspect`: a sandbox and the page that shows its flows, until it is interrupted.
// Must never leave a process or a port behind.

import { z } from 'zod'
import type { CommandRun } from '../command-run.js'
import { EXIT } from '../exit.js'
import type { Given } from '../perform.js'
import { readPort } from '../port.js'
import { inspectSandbox } from './inspect-sandbox.js'

const inspectOptions = z.object({ port: z.string().optional(), open: z.boolean().default(true) })

/** Runs until a signal ends it, which is how it is meant to end. @throws CommandError when the port is none. */
export async function inspect(run: CommandRun, given: Given): Promise<number> {
  const { port, open } = inspectOptions.parse(given.options)
  const running = await inspectSandbox({ open: open && !run.json, ...(port !== undefined && { port: readPort(port) }) })
  run.onLeave(() => running.stop())
  try {
    const interrupted = new Promise<void>((resolve) => run.onSignal(() => resolve()))
    const { url, gateway, rpcUrl } = running
    if (run.json) await run.writeJson({ status: 'ready', url, gateway, rpcUrl })
    else
      await run.write(
        `\n  page     ${url}\n  gateway  ${gateway}\n  chain    ${rpcUrl}\n\n  Ctrl-C stops all of them.\n`,
      )
    await interrupted
    return EXIT.ok
  } finally {
    await running.stop()
  }
}
