// Installs the packed package into empty projects, and uses it there: compiled, bundled, and on each platform.
// Must never reach into this checkout from there: what is tried is what npm would deliver.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { weighBundles } from './bundles.js'
import { compileConsumers } from './consumers.js'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '../..')
const folder = mkdtempSync(join(tmpdir(), 'mpp-flow-package-'))

/** What a user may have of the peers: the oldest that package.json allows, and the newest. */
const PEERS = { oldest: ['viem@2.52.0', 'xstate@5.33.3'], newest: ['viem@^2.52.0', 'xstate@^5.33.3'] }
const ANVIL = '@foundry-rs/anvil@1.7.1'
/** Packages that `npm install mpp-flow viem` may add, these two among them. */
const MOST_PACKAGES = 25
const MOST_FILES = 400
const MOST_GZIP = 250_000

function run(command: string, args: readonly string[], cwd: string, env = process.env): string {
  return execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

function require(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise)
}

const install = (project: string, packages: readonly string[]): string =>
  run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error', ...packages], project)

function createProject(name: string): string {
  const project = join(folder, name)
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  for (const file of ['consumer.ts', 'pay.mjs', 'sandbox.mjs'])
    copyFileSync(join(here, `${file}.txt`), join(project, file))
  return project
}

/** Starts the inspector page and asks for what a browser asks for. */
const INSPECT = `
  import { inspectLocally } from 'mpp-flow/inspect'
  const inspector = await inspectLocally({ open: false })
  const answers = ['', 'main.js', 'page.css', 'icon.svg'].map((path) => fetch(new URL(path, inspector.url)))
  console.log((await Promise.all(answers)).map(({ status }) => status).join(' '))
  await inspector.stop()
`

const REQUIRE = `console.log(typeof require('mpp-flow').createMppClient, typeof require('mpp-flow/machines').sessionMachine)`

/** Runs the sandbox by Node, until its standard input is closed. */
async function withSandbox(project: string, use: (urls: string) => void): Promise<void> {
  const child: ChildProcess = spawn('node', ['sandbox.mjs'], { cwd: project, stdio: ['pipe', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  try {
    if (child.stdout === null) throw new Error('the sandbox has no output')
    const [urls] = await once(createInterface({ input: child.stdout }), 'line')
    use(String(urls))
  } finally {
    child.stdin?.end()
    await exit
  }
}

try {
  run('npm', ['pack', '--silent', '--pack-destination', folder], root)
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
  if (tarball === undefined) throw new Error('npm pack left no file')
  const files = run('tar', ['-tzf', tarball], folder).trim().split('\n')
  require(files.includes('package/dist/js/index.js'), 'npm pack has not built the package')
  require(files.length < MOST_FILES, `the tarball has ${files.length} files`)

  const newest = createProject('newest')
  install(newest, [`../${tarball}`, ...PEERS.newest.slice(0, 1)])
  const packages = run('npm', ['ls', '--all', '--parseable'], newest).trim().split('\n').length - 1
  require(packages <= MOST_PACKAGES, `a user installs ${packages} packages`)
  console.log(`package: ${files.length} files; a user installs ${packages} packages`)

  // What the command line and the inspector page need must be in the package too.
  const explained = run('npx', ['mpp-flow', 'explain', 'payment_required'], newest)
  require(explained.includes('payment_required'), `the command line printed: ${explained}`)
  const fetched = run('node', ['--input-type=module', '--eval', INSPECT], newest)
  require(fetched.trim() === '200 200 200 200', `the inspector page answered: ${fetched}`)
  const required = run('node', ['--no-warnings', '--input-type=commonjs', '--eval', REQUIRE], newest)
  require(required.trim() === 'function object', `require() gave: ${required}`)

  for (const { target, minified, gzip, warnings } of await weighBundles(newest)) {
    console.log(`client with viem, for a ${target}: ${minified / 1000} kB minified, ${gzip / 1000} kB gzip`)
    require(warnings.length === 0, `esbuild warns: ${warnings.join('; ')}`)
    require(gzip < MOST_GZIP, `the client for a ${target} is too large`)
  }

  const oldest = createProject('oldest')
  install(oldest, [`../${tarball}`, ANVIL, ...PEERS.oldest])
  install(newest, [ANVIL, 'bun@1', 'deno@2'])
  const faults = [...compileConsumers(oldest, 1), ...compileConsumers(newest)]
  require(faults.length === 0, `a program of a second project does not compile:\n${faults.join('\n')}`)

  const platforms = [
    { name: 'Node, oldest peers', project: oldest, command: 'node', args: [] },
    { name: 'Node', project: newest, command: 'node', args: [] },
    { name: 'Bun', project: newest, command: 'npx', args: ['bun'] },
    { name: 'Deno', project: newest, command: 'npx', args: ['deno', 'run', '--allow-all'] },
  ]
  await withSandbox(newest, (urls) => {
    platforms.forEach(({ name, project, command, args }, payer) => {
      const env = { ...process.env, SANDBOX: urls, PAYER: String(payer) }
      const printed = run(command, [...args, 'pay.mjs'], project, env).trim()
      require(printed === 'paid 200\npaid 200', `on ${name} the client printed: ${printed}`)
    })
  })
  const refused = run('npx', ['deno', 'run', '--allow-all', 'sandbox.mjs'], newest).trim()
  require(/^The sandbox does not run on Deno: .*$/.test(refused), `on Deno the sandbox printed: ${refused}`)
  console.log(
    `package: ${tarball} installs, compiles, bundles, and pays on ${platforms.map(({ name }) => name).join(', ')}`,
  )
} finally {
  rmSync(folder, { recursive: true, force: true })
}
