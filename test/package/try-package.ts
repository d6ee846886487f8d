// Installs the packed package into an empty project, type-checks a program against it and runs that program.
// Must never reach into this checkout from there: what is tried is what npm would deliver.

import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '../..')
const project = mkdtempSync(join(tmpdir(), 'mpp-flow-package-'))

function run(command: string, args: readonly string[], cwd: string): string {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

/** Starts the inspector page and asks for what a browser asks for. */
const INSPECT = `
  import { inspectLocally } from 'mpp-flow/inspect'
  const inspector = await inspectLocally({ open: false })
  const answers = ['', 'main.js', 'page.css'].map((path) => fetch(new URL(path, inspector.url)))
  console.log((await Promise.all(answers)).map(({ status }) => status).join(' '))
  await inspector.stop()
`

try {
  const packed: unknown = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', project], root))
  const first: unknown = Array.isArray(packed) ? packed[0] : Object.values(packed ?? {})[0]
  if (typeof first !== 'object' || first === null || !('filename' in first)) throw new Error('npm pack named no file')
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  copyFileSync(join(here, 'consumer.ts.txt'), join(project, 'consumer.ts'))
  run(
    'npm',
    [
      'install',
      '--no-audit',
      '--no-fund',
      '--prefer-offline',
      `./${first.filename}`,
      '@foundry-rs/anvil@1.7.1',
      'viem@2.57.13',
      'xstate@5',
      'typescript@6.0.3',
      '@types/node@20',
    ],
    project,
  )
  const compiler = [
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2023',
    '--lib',
    'es2023,dom,dom.iterable',
    '--types',
    'node',
    '--skipLibCheck',
    'false',
  ]
  run('npx', ['tsc', ...compiler, 'consumer.ts'], project)
  const printed = run('node', ['consumer.js'], project)
  if (!printed.includes('paid 200')) throw new Error(`the program of the second project printed: ${printed}`)
  // What the command line and the inspector page need must be in the package too.
  const explained = run('npx', ['mpp-flow', 'explain', 'payment_required'], project)
  if (!explained.includes('payment_required')) throw new Error(`the command line printed: ${explained}`)
  const fetched = run('node', ['--input-type=module', '--eval', INSPECT], project)
  if (fetched.trim() !== '200 200 200') throw new Error(`the inspector page answered: ${fetched}`)
  console.log(`package: ${first.filename} installs, type-checks and pays (${printed.trim()})`)
} finally {
  rmSync(project, { recursive: true, force: true })
}
