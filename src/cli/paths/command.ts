// The command `paths`: generates the paths and writes them in one of three formats.
// Must never change a plan: what is exported is what `runPath` runs.

import { writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { type PathPlan, statePaths, transitionPaths } from '../../testing/index.js'
import type { CommandRun } from '../command-run.js'
import { EXIT, usageError } from '../exit.js'
import type { Given } from '../perform.js'
import { FORMATS, type Format } from './formats.js'
import { writeMarkdown } from './markdown.js'
import { writeVitest } from './vitest-file.js'

const pathsOptions = z.object({
  format: z.enum(FORMATS),
  states: z.boolean().default(false),
  output: z.string().optional(),
})

const WRITERS: Readonly<Record<Format, (paths: readonly PathPlan[]) => string>> = {
  json: (paths) => `[\n${paths.map((plan) => JSON.stringify(plan)).join(',\n')}\n]\n`,
  markdown: writeMarkdown,
  vitest: writeVitest,
}

/** @throws CommandError when the file cannot be written. */
export async function paths(run: CommandRun, { options }: Given): Promise<number> {
  const { format, states, output } = pathsOptions.parse(options)
  const plans = states ? statePaths() : transitionPaths()
  const text = WRITERS[format](plans)
  if (output === undefined) await run.write(text)
  else {
    await write(output, text)
    run.note(`${plans.length} paths written to ${output}`)
  }
  return EXIT.ok
}

async function write(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text)
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
    throw usageError(`${file} cannot be written (${reason})`)
  }
}
