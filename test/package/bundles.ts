// Bundles the installed client for browsers and for workers with esbuild, as a user of it would, and says what it weighs.
// Must never pass over a warning.

import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

/** Kept whole, as no tree is shaken that hangs on the global object. */
const PROGRAM = "import * as client from 'mpp-flow'\nglobalThis.client = client\n"

const CONDITIONS: Readonly<Record<string, readonly string[]>> = {
  browser: [],
  worker: ['workerd', 'worker', 'browser'],
}

export interface Weight {
  readonly target: string
  /** In bytes. */
  readonly minified: number
  readonly gzip: number
  readonly warnings: readonly string[]
}

/** @param directory of a project that has the package installed */
export async function weighBundles(directory: string): Promise<readonly Weight[]> {
  return Promise.all(
    Object.entries(CONDITIONS).map(async ([target, conditions]) => {
      const { outputFiles, warnings } = await build({
        stdin: { contents: PROGRAM, resolveDir: directory },
        bundle: true,
        minify: true,
        format: 'esm',
        platform: 'browser',
        target: 'es2022',
        conditions: [...conditions],
        write: false,
        logLevel: 'silent',
      })
      const code = outputFiles[0]?.contents ?? new Uint8Array()
      return {
        target,
        minified: code.byteLength,
        gzip: gzipSync(code, { level: 9 }).byteLength,
        warnings: warnings.map(({ text }) => text),
      }
    }),
  )
}
