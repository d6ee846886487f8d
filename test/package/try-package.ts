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
  console.log(`package: ${first.filename} installs, type-checks and pays (${printed.trim()})`)
} finally {
  rmSync(project, { recursive: true, force: true })
}
