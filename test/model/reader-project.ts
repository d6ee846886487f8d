// A project of a reader of the docs: an empty folder with vitest in it, in which `mpp-flow` means this checkout.
// Must never hold more than its reader has: files see the package by its entry points alone.

import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

const root = fileURLToPath(new URL('../..', import.meta.url))
const modules = join(root, 'node_modules')

/** Entry points and their sources. The longest come first: an alias also stands for what begins with it. */
const ENTRIES = {
  'mpp-flow/testing': 'src/testing/index.ts',
  'mpp-flow/sandbox': 'src/sandbox/index.ts',
  'mpp-flow/machines': 'machines/index.ts',
  'mpp-flow': 'src/index.ts',
} as const

const reportSchema = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  testResults: z.array(
    z.object({
      message: z.string(),
      assertionResults: z.array(
        z.object({ title: z.string(), status: z.string(), failureMessages: z.array(z.string()).nullish() }),
      ),
    }),
  ),
})

/** How long programs of the project may take on a busy machine. */
export const READER_TIMEOUT_MS = 240_000

/** What vitest says of the reader's tests. */
export interface TestReport {
  readonly passed: readonly string[]
  /** Titles of the tests that failed, with what they say; also a file that could not be loaded. */
  readonly failed: readonly string[]
}

export interface ReaderProject {
  readonly folder: string
  write(file: string, text: string): void
  /** Runs every test file of the project. `only`: a pattern for titles; the other tests are in neither list. */
  test(env?: Readonly<Record<string, string>>, only?: string): Promise<TestReport>
  /** Complaints of the strict type checker; none is the empty text. */
  typeCheck(): Promise<string>
  remove(): void
}

/** An example of the docs as its reader has it: without the header, importing the package by its name. */
export function asPrinted(source: string): string {
  return source
    .replace(/^(\/\/.*\n)+\n/, '')
    .replaceAll(/'\.\.\/\.\.\/(?:src\/)?(?:([a-z]+)\/)?index\.js'/g, (_, entry?: string) =>
      entry === undefined ? "'mpp-flow'" : `'mpp-flow/${entry}'`,
    )
}

export function createReaderProject(): ReaderProject {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'mpp-flow-reader-')))
  const write = (file: string, text: string): void => writeFileSync(join(folder, file), text)
  symlinkSync(modules, join(folder, 'node_modules'))
  const entries = Object.entries(ENTRIES)
  const alias = Object.fromEntries(entries.map(([name, source]) => [name, join(root, source)]))
  write('package.json', JSON.stringify({ private: true, type: 'module' }))
  write('vitest.config.mjs', `export default ${JSON.stringify({ resolve: { alias }, test: { maxWorkers: 1 } })}\n`)
  write('tsconfig.json', JSON.stringify(compilerOptions(alias)))
  mkdirSync(join(folder, 'reports'))

  return {
    folder,
    write,
    async test(env = {}, only = '') {
      const report = join(folder, 'reports', 'vitest.json')
      rmSync(report, { force: true })
      const vitest = ['vitest/vitest.mjs', 'run', '--reporter=json', `--outputFile=${report}`, '-t', only]
      const said = await ended(folder, vitest, env)
      return readReport(report, said)
    },
    typeCheck: () => ended(folder, ['typescript/bin/tsc', '--noEmit', '--pretty', 'false'], {}),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

function compilerOptions(alias: Readonly<Record<string, string>>): object {
  const paths = Object.fromEntries(Object.entries(alias).map(([name, source]) => [name, [source]]))
  return {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { rootDir: '/', types: ['node'], typeRoots: [join(modules, '@types')], paths },
    include: ['*.ts'],
  }
}

/** Runs a program of `node_modules` to its end, whatever its exit code. @returns what it printed. */
function ended(folder: string, [program = '', ...args]: readonly string[], env: object): Promise<string> {
  // The runner that runs this file tells its own children who they are; this one is nobody's child.
  const own = Object.entries(process.env).filter(([name]) => !/^(VITEST|TEST$|NODE_ENV$|TINYPOOL)/.test(name))
  const options = { cwd: folder, env: { ...Object.fromEntries(own), ...env }, maxBuffer: 64 * 1024 * 1024 }
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [join(modules, program), ...args], options, (error, out, err) => {
      const said = `${out}${err}`
      // A program that fails says why; one that does not was ended from outside.
      if (error !== null && said === '') reject(error)
      else resolve(said)
    })
  })
}

function readReport(file: string, said: string): TestReport {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    throw new Error(`vitest wrote no report: ${said}`)
  }
  const { testResults } = reportSchema.parse(JSON.parse(text))
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults)
  const unloaded = testResults.filter(({ message }) => message !== '').map(({ message }) => message)
  const failed = tests.filter(({ status }) => status === 'failed')
  return {
    passed: tests.filter(({ status }) => status === 'passed').map(({ title }) => title),
    failed: [
      ...unloaded,
      ...failed.map(({ title, failureMessages }) => `${title}: ${(failureMessages ?? []).join(' ')}`),
    ],
  }
}
