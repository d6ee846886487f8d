// The files of the page: served as they are from the package, and translated on the way when they are still TypeScript.
// Must never serve a file that is not one of the page's.

import { readdir, readFile } from 'node:fs/promises'

/** A file as it is served. */
export interface Asset {
  readonly type: string
  readonly content: string
}

/** By the ending of the file as it is asked for. */
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const FOLDER = new URL('../page/', import.meta.url)

/**
 * All files of the page by their names, `index.html` among them.
 *
 * @throws Error when the page is not there: the package was not built completely.
 */
export async function loadAssets(): Promise<ReadonlyMap<string, Asset>> {
  const names = await readdir(FOLDER)
  const assets = await Promise.all(names.map((name) => load(name)))
  const byName = new Map(assets.flat())
  for (const needed of ['index.html', 'page.css', 'main.js']) {
    if (!byName.has(needed)) throw new Error(`the inspector's page lacks ${needed}: build the package again`)
  }
  return byName
}

async function load(name: string): Promise<readonly (readonly [string, Asset])[]> {
  const ending = /\.[a-z]+$/.exec(name)?.[0] ?? ''
  // Type declarations and source maps lie beside the built files.
  if (name.endsWith('.d.ts')) return []
  if (ending === '.ts') {
    const source = await readFile(new URL(name, FOLDER), 'utf8')
    return [[name.replace(/ts$/, 'js'), { type: TYPES['.js'] ?? '', content: await translate(source) }]]
  }
  const type = TYPES[ending]
  return type === undefined ? [] : [[name, { type, content: await readFile(new URL(name, FOLDER), 'utf8') }]]
}

/** Only in a checkout: the package holds no TypeScript. */
async function translate(source: string): Promise<string> {
  const { default: typescript } = await import('typescript')
  const { ESNext, ES2022 } = { ESNext: typescript.ModuleKind.ESNext, ES2022: typescript.ScriptTarget.ES2022 }
  const compilerOptions = { module: ESNext, target: ES2022, verbatimModuleSyntax: true, isolatedModules: true }
  return typescript.transpileModule(source, { compilerOptions }).outputText
}
