// Bundles a program for browsers with Vite, as a user of the package would: no plugin, no polyfill, no option of ours.
// Must never pass over a module that only Node has.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'vite'

export interface Bundle {
  /** The one script, minified. */
  readonly code: string
  /** Paths of the modules in it. */
  readonly modules: readonly string[]
  /** What Vite warned of: a Node module that is asked for is among it. */
  readonly warnings: readonly string[]
}

/**
 * @param directory of a project that has the package installed.
 * @param program of the page, as JavaScript.
 * @param external packages that stay outside.
 */
export async function bundle(directory: string, program: string, external: readonly RegExp[] = []): Promise<Bundle> {
  const entry = join(directory, 'page.js')
  writeFileSync(entry, program)
  const warnings: string[] = []
  const warn = (message: string): void => {
    warnings.push(message)
  }
  const result = await build({
    root: directory,
    configFile: false,
    envDir: false,
    logLevel: 'warn',
    customLogger: {
      info: () => undefined,
      warn,
      warnOnce: warn,
      error: warn,
      clearScreen: () => undefined,
      hasErrorLogged: () => false,
      hasWarned: false,
    },
    build: {
      write: false,
      target: 'es2022',
      modulePreload: false,
      rolldownOptions: { input: entry, external: [...external], output: { codeSplitting: false } },
    },
  })
  const outputs = Array.isArray(result) ? result : 'output' in result ? [result] : []
  const chunks = outputs.flatMap(({ output }) => output).filter((file) => file.type === 'chunk')
  const [chunk, ...others] = chunks
  if (chunk === undefined || others.length > 0) throw new Error(`Vite wrote ${chunks.length} scripts instead of one`)
  return { code: chunk.code, modules: chunk.moduleIds, warnings }
}
