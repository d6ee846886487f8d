// Makes one plain script of the victim, because hundreds of processes are started from it.
// Must never leave the script behind, nor change what the victim does unless it is told to break it.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'vite'
import type { Edit } from './source-mutations.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Bundled {
  readonly program: string
  remove(): void
}

/** Makes edits in the source on its way into the bundle. Ends the build when one of them does not fit. */
function editing(edits: readonly Edit[]): Plugin {
  const left = new Set(edits)
  return {
    name: 'source-mutations',
    enforce: 'pre',
    transform(code, id) {
      let edited = code
      for (const edit of edits) {
        if (id !== join(root, edit.file)) continue
        if (edited.split(edit.find).length !== 2) throw new Error(`${edit.file} does not have, once: ${edit.find}`)
        edited = edited.replace(edit.find, () => edit.replace)
        left.delete(edit)
      }
      return edited === code ? null : { code: edited, map: null }
    },
    buildEnd(error) {
      const [missed] = left
      if (error === undefined && missed !== undefined) throw new Error(`${missed.file} is not part of the client`)
    },
  }
}

/**
 * Bundles the victim. It lies below `node_modules`, so that the packages that stay outside are found.
 *
 * @param edits break the client on purpose; none by default.
 */
export async function bundleVictim(edits: readonly Edit[] = []): Promise<Bundled> {
  const cache = join(root, 'node_modules', '.cache')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'mpp-flow-crash-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  await build({
    root,
    configFile: false,
    envDir: false,
    logLevel: 'error',
    plugins: [editing(edits)],
    ssr: { noExternal: true, external: ['pg'] },
    build: {
      ssr: join(root, 'test/crash/victim/program.ts'),
      outDir: folder,
      emptyOutDir: false,
      target: 'node20',
      rolldownOptions: { output: { entryFileNames: 'victim.mjs' } },
    },
  })
  return { program: join(folder, 'victim.mjs'), remove }
}
