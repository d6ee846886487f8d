// The package as a second project has it: its package.json, its compiled modules, its dependencies and nothing else.
// Must never let a bundle reach into the sources of this checkout: what is bundled is what npm would deliver.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { buildJs } from '../../build-js.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

const packageJsonSchema = z.object({
  dependencies: z.record(z.string(), z.string()),
  peerDependencies: z.record(z.string(), z.string()),
  peerDependenciesMeta: z.record(z.string(), z.unknown()),
})

export interface PackageCopy {
  /** The second project. Real path, without symbolic links. */
  readonly directory: string
  /** Names of the packages that it needs. */
  readonly dependencies: readonly string[]
  remove(): void
}

/** Makes an empty project in which what `fill` puts into its folder is installed as `mpp-flow`. */
export function installCopy(fill: (folder: string) => void): PackageCopy {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'mpp-flow-copy-')))
  const modules = join(directory, 'node_modules')
  const own = join(modules, 'mpp-flow')
  mkdirSync(own, { recursive: true })
  fill(own)
  const { dependencies, peerDependencies, peerDependenciesMeta } = packageJsonSchema.parse(
    JSON.parse(readFileSync(join(own, 'package.json'), 'utf8')),
  )
  const peers = Object.keys(peerDependencies).filter((name) => !(name in peerDependenciesMeta))
  const names = [...Object.keys(dependencies), ...peers]
  for (const name of names) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction')
  }
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  return { directory, dependencies: names, remove: () => rmSync(directory, { recursive: true, force: true }) }
}

export interface BuiltCopy extends PackageCopy {
  /** The sources in each built file, by its path. */
  readonly sources: ReadonlyMap<string, readonly string[]>
}

/** The same with what `npm run build:js` builds; types are checked elsewhere. */
export async function installBuilt(): Promise<BuiltCopy> {
  const copy = installCopy((folder) => cpSync(join(root, 'package.json'), join(folder, 'package.json')))
  const folder = join(copy.directory, 'node_modules/mpp-flow')
  const built = await buildJs(folder)
  const chunks = built.flatMap(({ output }) => output).filter((file) => file.type === 'chunk')
  return { ...copy, sources: new Map(chunks.map((chunk) => [join(folder, 'dist', chunk.fileName), chunk.moduleIds])) }
}
