// Builds the JavaScript of the package: its entries, the command line, and the inspector's page.
// Must never bundle a runtime dependency: a second copy of xstate or viem is another library to its user.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BuildOptions, OutputOptions, Plugin } from 'rolldown'

const root = fileURLToPath(new URL('.', import.meta.url))
const text = (path: string): string => readFileSync(join(root, path), 'utf8')
const { dependencies, peerDependencies } = JSON.parse(text('package.json'))

/** What stays a package of its own. `typescript` is asked for in a checkout alone, the last two are optional parts of `ws`. */
const PACKAGES = [
  ...Object.keys({ ...dependencies, ...peerDependencies }),
  'typescript',
  'bufferutil',
  'utf-8-validate',
]

const isExternal = (id: string): boolean =>
  id.startsWith('#') || id === ELK || PACKAGES.some((name) => id === name || id.startsWith(`${name}/`))

/** A megabyte that runs in two threads and that nothing can be taken out of: it is shipped as the file that it is. */
const ELK = 'elkjs/lib/elk.bundled.js'
const ELK_FROM_BUNDLES = '../elk/elk.bundled.cjs'

const PACKAGE_OF = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//

/** The licences of all packages that are in the bundles, or in files beside them, as one file. */
function notices(folders: Set<string>): Plugin {
  return {
    name: 'third-party-notices',
    generateBundle(_options, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type !== 'chunk') continue
        for (const id of file.moduleIds) {
          const folder = PACKAGE_OF.exec(id)?.[1]
          if (folder !== undefined) folders.add(folder)
        }
      }
      const source = [...folders]
        .sort()
        .map(noticeOf)
        .join(`\n${'-'.repeat(80)}\n\n`)
      this.emitFile({ type: 'asset', fileName: 'THIRD-PARTY-NOTICES.txt', source })
    },
  }
}

/** @throws Error for a package that comes without its licence. */
function noticeOf(folder: string): string {
  const { name, version, license, repository } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
  if (file === undefined) throw new Error(`${name} has no licence file`)
  const source = typeof repository === 'string' ? repository : (repository?.url ?? '')
  return `${name} ${version} (${license}) ${source}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`
}

function files(sources: Readonly<Record<string, string>>): Plugin {
  return {
    name: 'files',
    generateBundle() {
      for (const [fileName, path] of Object.entries(sources))
        this.emitFile({ type: 'asset', fileName, source: text(path) })
    },
  }
}

const strict: Plugin = {
  name: 'strict',
  onLog(_level, log) {
    throw new Error(log.message)
  },
}

interface Config extends Omit<BuildOptions, 'output'> {
  readonly output: OutputOptions & { readonly dir: string }
}

const configs: readonly Config[] = [
  {
    input: {
      index: 'src/index.ts',
      machines: 'machines/index.ts',
      provider: 'src/provider/index.ts',
      files: 'src/files/index.ts',
      postgres: 'src/postgres/index.ts',
      sandbox: 'src/sandbox/index.ts',
      testing: 'src/testing/index.ts',
      inspect: 'src/inspect/index.ts',
      cli: 'src/cli/main.ts',
      'base64url-native': 'src/protocol/base64url-native.ts',
      'no-undici': 'src/client/transport/no-undici.ts',
    },
    cwd: root,
    platform: 'node',
    external: isExternal,
    transform: { target: 'node20.19', define: { BUNDLED_ELK: JSON.stringify(ELK_FROM_BUNDLES) } },
    plugins: [
      strict,
      notices(new Set([join(root, 'node_modules/elkjs')])),
      files({ 'elk/elk.bundled.cjs': `node_modules/${ELK}` }),
    ],
    output: {
      dir: 'dist',
      // One folder for all: what a module finds beside itself is the same wherever the bundler puts it.
      entryFileNames: 'js/[name].js',
      chunkFileNames: 'js/[name]-[hash].js',
      paths: { [ELK]: ELK_FROM_BUNDLES },
    },
  },
  {
    input: { main: 'src/inspect/page/main.ts' },
    cwd: root,
    platform: 'browser',
    transform: { target: 'es2022' },
    plugins: [
      strict,
      files({
        'index.html': 'src/inspect/page/index.html',
        'page.css': 'src/inspect/page/page.css',
        'icon.svg': 'src/inspect/page/icon.svg',
      }),
    ],
    output: { dir: 'dist/page', codeSplitting: false },
  },
]

export default configs
