// Makes one plain script of the victim, because hundreds of processes are started from it.
// Must never leave the script behind, nor change what the victim does: only its modules are put together.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Bundled {
  readonly program: string
  remove(): void
}

/** Bundles the victim. It lies below `node_modules`, so that the packages that stay outside are found. */
export async function bundleVictim(): Promise<Bundled> {
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
