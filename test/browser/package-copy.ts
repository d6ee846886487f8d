// The package as a second project has it: its package.json, its compiled modules, its dependencies and nothing else.
// Must never let a bundle reach into the sources of this checkout: what is bundled is what npm would deliver.

import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { z } from 'zod'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Parts of the sources that the client entry never reaches. */
const NOT_FOR_CLIENTS = /^src\/(cli|inspect|sandbox|testing)\//

const packageJsonSchema = z.object({ dependencies: z.record(z.string(), z.string()) })

export interface PackageCopy {
  /** The second project. Real path, without symbolic links. */
  readonly directory: string
  /** Names of the package's dependencies. */
  readonly dependencies: readonly string[]
  remove(): void
}

/** Makes an empty project in which the modules that `fill` puts into its folder are installed as `mpp-flow`. */
export function installCopy(fill: (folder: string) => void = compileInto): PackageCopy {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'mpp-flow-copy-')))
  const modules = join(directory, 'node_modules')
  const own = join(modules, 'mpp-flow')
  mkdirSync(own, { recursive: true })
  fill(own)
  const { dependencies } = packageJsonSchema.parse(JSON.parse(readFileSync(join(own, 'package.json'), 'utf8')))
  const names = Object.keys(dependencies)
  for (const name of names) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction')
  }
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  return { directory, dependencies: names, remove: () => rmSync(directory, { recursive: true, force: true }) }
}

/** Compiles module by module what `npm run build` compiles; types are checked elsewhere. */
function compileInto(folder: string): void {
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root)
  for (const part of ['machines', 'src']) {
    for (const entry of readdirSync(join(root, part), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      if (!entry.isFile() || !entry.name.endsWith('.ts') || NOT_FOR_CLIENTS.test(relative(root, path))) continue
      const { outputText } = ts.transpileModule(readFileSync(path, 'utf8'), {
        fileName: path,
        // A module by itself does not know its package.json, which makes it an ES module.
        compilerOptions: {
          ...options,
          module: ts.ModuleKind.ESNext,
          noEmit: false,
          sourceMap: false,
          declaration: false,
        },
      })
      const target = join(folder, 'dist', relative(root, path).replace(/\.ts$/, '.js'))
      mkdirSync(dirname(target), { recursive: true })
      writeFileSync(target, outputText)
    }
  }
}
