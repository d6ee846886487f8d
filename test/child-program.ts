// Child processes start JavaScript that was built once per worker, not a TypeScript loader: that takes each of them seconds.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const root = fileURLToPath(new URL('..', import.meta.url))
const built = new Map<string, Promise<string>>()

/**
 * The built file of a TypeScript program. It lies below `node_modules`, so that packages are found, and goes with this
 * process. For programs that read no file by their own place.
 *
 * @param path - From the root of the checkout: `test/hostile/store-actor.ts`.
 */
export function childProgram(path: string): Promise<string> {
  const known = built.get(path) ?? buildProgram(path)
  built.set(path, known)
  return known
}

async function buildProgram(path: string): Promise<string> {
  const cache = join(root, 'node_modules', '.cache')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'mpp-flow-child-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const name = `${basename(path, '.ts')}.mjs`
  await build({
    root,
    configFile: false,
    envDir: false,
    logLevel: 'error',
    ssr: { external: true },
    build: {
      ssr: join(root, path),
      outDir: folder,
      emptyOutDir: false,
      target: 'node20',
      rolldownOptions: { output: { entryFileNames: name } },
    },
  })
  return join(folder, name)
}
