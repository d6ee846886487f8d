// Builds the JavaScript of the package, as rolldown.config.ts says.

import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type RolldownOutput } from 'rolldown'
import configs from './rolldown.config.js'

/** @param folder of the package: what is built gets into its `dist`. */
export async function buildJs(folder: string): Promise<readonly RolldownOutput[]> {
  return Promise.all(
    configs.map(({ output, ...options }) =>
      build({ ...options, output: { ...output, dir: resolve(folder, output.dir) } }),
    ),
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildJs(fileURLToPath(new URL('.', import.meta.url)))
