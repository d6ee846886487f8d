// Compiles the package and these benchmarks to plain JavaScript, as the published package is, into a folder of their own.
// Must never measure what a development loader adds: that one names every closure anew, on every request.

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Parts that nothing here imports. */
const NOT_NEEDED = /^src\/(cli|inspect|testing)\//

export interface Compiled {
  /** Has a `package.json`, and the modules under `dist` as they lie in the checkout. */
  readonly directory: string
  /** The JavaScript of a source file, by its path in the checkout. */
  module(source: string): string
  remove(): void
}

/** Compiles module by module; types are checked elsewhere. */
export function compile(): Compiled {
  const directory = mkdtempSync(join(tmpdir(), 'mpp-flow-bench-'))
  cpSync(join(root, 'package.json'), join(directory, 'package.json'))
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'), 'junction')
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root)
  const compilerOptions = {
    ...options,
    module: ts.ModuleKind.ESNext,
    noEmit: false,
    sourceMap: false,
    declaration: false,
  }
  const target = (path: string): string =>
    join(directory, 'dist', relative(root, join(root, path)).replace(/\.ts$/, '.js'))
  for (const part of ['machines', 'src', 'test/bench']) {
    for (const entry of readdirSync(join(root, part), { recursive: true, withFileTypes: true })) {
      const path = relative(root, join(entry.parentPath, entry.name))
      if (!entry.isFile() || !entry.name.endsWith('.ts') || NOT_NEEDED.test(path)) continue
      const source = readFileSync(join(root, path), 'utf8')
      const { outputText } = ts.transpileModule(source, { fileName: path, compilerOptions })
      mkdirSync(dirname(target(path)), { recursive: true })
      writeFileSync(target(path), outputText)
    }
  }
  return { directory, module: target, remove: () => rmSync(directory, { recursive: true, force: true }) }
}
