// Compiles every example in the comments of the sources, as a reader who copies it would.
// Must never give an example anything that it does not import itself.

import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../..', import.meta.url))

interface Example {
  /** Of the source that has it, and where its first line is in there, from 0. */
  readonly file: string
  readonly line: number
  readonly code: string
}

/** The sources that an entry of the package is made of. */
const ENTRIES: Readonly<Record<string, string>> = {
  'mpp-flow': 'src/index.ts',
  'mpp-flow/machines': 'machines/index.ts',
  'mpp-flow/provider': 'src/provider/index.ts',
  'mpp-flow/files': 'src/files/index.ts',
  'mpp-flow/postgres': 'src/postgres/index.ts',
  'mpp-flow/sandbox': 'src/sandbox/index.ts',
  'mpp-flow/testing': 'src/testing/index.ts',
  'mpp-flow/inspect': 'src/inspect/index.ts',
}

const FENCED = /```ts\n([\s\S]*?)```/g

/** The examples of one source. @throws Error for an example that has no code. */
function examplesOf(file: string): readonly Example[] {
  const text = readFileSync(file, 'utf8')
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ESNext, true)
  const found: Example[] = []
  const visit = (node: ts.Node): void => {
    for (const tag of ts.getJSDocTags(node)) {
      // Tags of a declaration are those of its parts, too: each is taken where it is written.
      if (tag.tagName.text !== 'example' || tag.parent.parent !== node) continue
      const line = source.getLineAndCharacterOfPosition(tag.getStart(source)).line
      const comment = ts.getTextOfJSDocComment(tag.comment) ?? ''
      const blocks = [...comment.matchAll(FENCED)]
      if (blocks.length === 0) throw new Error(`${relative(root, file)}:${line + 1}: an example without \`\`\`ts`)
      for (const block of blocks) {
        const before = comment.slice(0, block.index).split('\n').length - 1
        // The comment of a tag begins on the line after it, when there is nothing beside the tag.
        found.push({ file, line: line + before + 2, code: block[1] ?? '' })
      }
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
const sources = ['machines', 'src'].flatMap((folder) => ts.sys.readDirectory(join(root, folder), ['.ts']))
// Beside the source that it stands in, and a module even when it exports nothing.
const examples = new Map(
  sources.flatMap(examplesOf).map((example, index) => [join(dirname(example.file), `example-${index}.ts`), example]),
)
if (examples.size < 20) throw new Error(`only ${examples.size} examples were found`)

const compilerOptions: ts.CompilerOptions = {
  ...options,
  noEmit: true,
  declaration: false,
  noUnusedLocals: false,
  paths: Object.fromEntries(Object.entries(ENTRIES).map(([name, path]) => [name, [join(root, path)]])),
}
const host = ts.createCompilerHost(compilerOptions)
const { fileExists, readFile, getSourceFile } = host
host.fileExists = (name) => examples.has(name) || fileExists(name)
host.readFile = (name) => examples.get(name)?.code ?? readFile(name)
host.getSourceFile = (name, how, ...more) => {
  const example = examples.get(name)
  return example === undefined ? getSourceFile(name, how, ...more) : ts.createSourceFile(name, example.code, how, true)
}
const program = ts.createProgram([...examples.keys()], compilerOptions, host)

let faults = 0
for (const name of examples.keys()) {
  const file = program.getSourceFile(name)
  const problems = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
  for (const { start = 0, messageText } of problems) {
    const example = examples.get(name)
    const line = (example?.line ?? 0) + (file?.getLineAndCharacterOfPosition(start).line ?? 0) + 1
    console.error(
      `${relative(root, example?.file ?? name)}:${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    )
    faults += 1
  }
}
if (faults > 0) process.exitCode = 1
else console.log(`examples: ${examples.size} compile`)
