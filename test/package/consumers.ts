// Programs of a second project, compiled in each of the ways that TypeScript resolves packages.
// Must never pass over an error in the package's own declarations.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const TYPE_ROOTS = [fileURLToPath(new URL('../../node_modules/@types', import.meta.url))]

const ES = ['lib.es2022.d.ts']
const DOM = [...ES, 'lib.dom.d.ts', 'lib.dom.iterable.d.ts']

const CJS_IMPORT = `
import type { MppClient, MppClientOptions } from 'mpp-flow' with { 'resolution-mode': 'import' }
export async function client(options: MppClientOptions): Promise<MppClient> {
  const { createMppClient } = await import('mpp-flow')
  const { startSandbox } = await import('mpp-flow/sandbox')
  return createMppClient({ ...options, rpcUrl: (await startSandbox()).rpcUrl })
}
`
const CJS_REQUIRE = `
import { createMppClient, type MppClientOptions } from 'mpp-flow'
import flows = require('mpp-flow/machines')
import provider = require('mpp-flow/provider')
import inspect = require('mpp-flow/inspect')
import files = require('mpp-flow/files')
export const client = (options: MppClientOptions) => createMppClient(options)
export const machine: string = flows.paymentFlowMachine.id
export const others = [provider.createProviderClient, inspect.inspectLocally, files.fileStore]
`

interface Way {
  readonly name: string
  readonly file: string
  readonly source?: string
  readonly options: ts.CompilerOptions
}

const nodeNext = { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext }
const node16 = { module: ts.ModuleKind.Node16, moduleResolution: ts.ModuleResolutionKind.Node16 }
const bundler = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler }

const WAYS: readonly Way[] = [
  { name: 'nodenext', file: 'consumer.ts', options: nodeNext },
  { name: 'bundler', file: 'consumer.ts', options: bundler },
  { name: 'node16, CommonJS, import()', file: 'cjs-import.cts', source: CJS_IMPORT, options: node16 },
  { name: 'nodenext, CommonJS, require()', file: 'cjs-require.cts', source: CJS_REQUIRE, options: nodeNext },
]

/**
 * What is wrong, one line each.
 *
 * @param directory of the second project, with its `consumer.ts`
 * @param most how many of the ways to try; the first are the commonest
 */
export function compileConsumers(directory: string, most = WAYS.length): readonly string[] {
  // Most files are the same in all programs.
  const parsed = new Map<string, ts.SourceFile | undefined>()
  return WAYS.slice(0, most).flatMap(({ name, file, source, options }) => {
    const path = join(directory, file)
    if (source !== undefined) writeFileSync(path, source)
    return [ES, DOM].flatMap((lib) => {
      const all: ts.CompilerOptions = {
        ...options,
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
        target: ts.ScriptTarget.ES2022,
        lib,
        types: ['node'],
        typeRoots: TYPE_ROOTS,
      }
      const host = ts.createCompilerHost(all)
      const { getSourceFile } = host
      host.getSourceFile = (fileName, how, ...more) => {
        const key = `${fileName} ${typeof how === 'object' ? how.impliedNodeFormat : ''} ${name}`
        if (!parsed.has(key)) parsed.set(key, getSourceFile(fileName, how, ...more))
        return parsed.get(key)
      }
      const own = (fileName: string): boolean =>
        fileName === path || fileName.startsWith(join(directory, 'node_modules/mpp-flow/'))
      return ts
        .getPreEmitDiagnostics(ts.createProgram([path], all, host))
        .filter((found) => found.file === undefined || own(found.file.fileName))
        .map(
          (found) =>
            `${name}, ${lib === DOM ? 'with' : 'without'} the DOM library: ${found.file?.fileName ?? ''} ` +
            ts.flattenDiagnosticMessageText(found.messageText, ' '),
        )
    })
  })
}
