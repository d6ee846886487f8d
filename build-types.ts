// Builds the declarations of the package: those that an entry shows, and no others.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('.', import.meta.url))

const { config } = ts.readConfigFile(resolve(root, 'tsconfig.build.json'), ts.sys.readFile)
const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, root)
const program = ts.createProgram(fileNames, options)

const declarations = new Map<string, string>()
const { diagnostics } = program.emit(undefined, (name, text) => declarations.set(resolve(name), text))
const errors = [...ts.getPreEmitDiagnostics(program), ...diagnostics]
if (errors.length > 0) {
  const host = { getCanonicalFileName: (name: string) => name, getCurrentDirectory: () => root, getNewLine: () => '\n' }
  process.stderr.write(ts.formatDiagnostics(errors, host))
  process.exit(1)
}

const outDir = resolve(root, options.outDir ?? '')
const pending = fileNames.map((name) => resolve(outDir, name.slice(root.length).replace(/\.ts$/, '.d.ts')))
for (const file of pending) {
  const text = declarations.get(file)
  if (text === undefined) throw new Error(`no declarations for ${file}`)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  for (const { fileName } of ts.preProcessFile(text).importedFiles) {
    const imported = resolve(dirname(file), fileName.replace(/\.js$/, '.d.ts'))
    if (fileName.startsWith('.') && !pending.includes(imported)) pending.push(imported)
  }
}
