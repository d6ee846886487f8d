// Checks the packed package as its users get it: publint, arethetypeswrong, types, and what the client entry weighs in a browser.
// Must never check the checkout instead: everything here looks at the tarball that npm would publish.

import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { z } from 'zod'
import { bundle } from '../browser/bundle.js'
import { installCopy } from '../browser/package-copy.js'
import { checkTypes } from './check-types.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const bin = (name: string): string => join(root, 'node_modules/.bin', name)
const packedSchema = z.union([
  z.array(z.object({ filename: z.string() })),
  z.record(z.string(), z.object({ filename: z.string() })),
])

/** The names of the entries that have types. */
function entriesOf(file: string): readonly string[] {
  const exported = z
    .object({ exports: z.record(z.string(), z.unknown()) })
    .parse(JSON.parse(readFileSync(file, 'utf8')))
  return Object.entries(exported.exports).flatMap(([name, target]) =>
    typeof target === 'object' ? [`mpp-flow${name.slice(1)}`] : [],
  )
}

function run(command: string, args: readonly string[]): string {
  return execFileSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

const folder = mkdtempSync(join(tmpdir(), 'mpp-flow-packed-'))
try {
  // Scripts off: the package is built already, and what they print would mix with the JSON.
  const packed = packedSchema.parse(
    JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder])),
  )
  const [first] = Object.values(packed)
  if (first === undefined) throw new Error('npm pack named no file')
  const tarball = join(folder, first.filename)

  const extracted = join(folder, 'extracted')
  mkdirSync(extracted)
  run('tar', ['-xzf', tarball, '-C', extracted, '--strip-components=1'])

  const { messages, pkg } = await publint({ pkgDir: extracted, pack: false, strict: true })
  for (const message of messages) console.error(`publint ${message.type}: ${formatMessage(message, pkg)}`)
  if (messages.length > 0) process.exitCode = 1

  try {
    run(bin('attw'), [tarball, '--profile', 'esm-only', '--no-emoji', '--no-color', '--format', 'ascii'])
  } catch (error) {
    const said = typeof error === 'object' && error !== null && 'stdout' in error ? String(error.stdout) : ''
    console.error(`arethetypeswrong:\n${said}`)
    process.exitCode = 1
  }

  const copy = installCopy((target) => run('tar', ['-xzf', tarball, '-C', target, '--strip-components=1']))
  try {
    const consumer = join(copy.directory, 'consumer.ts')
    copyFileSync(fileURLToPath(new URL('consumer-types.ts.txt', import.meta.url)), consumer)
    const faults = checkTypes(copy.directory, entriesOf(join(extracted, 'package.json')), consumer)
    for (const fault of faults) console.error(`types, ${fault}`)
    if (faults.length > 0) process.exitCode = 1

    // Kept whole, as no tree is shaken that hangs on the global object.
    const program = "import * as client from 'mpp-flow'\nglobalThis.client = client\n"
    const whole = await bundle(copy.directory, program)
    const own = await bundle(copy.directory, program, [/^viem($|\/)/, /^ox($|\/)/])
    const kB = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`
    const size = (code: string): string =>
      `${kB(Buffer.byteLength(code))} minified, ${kB(gzipSync(code, { level: 9 }).length)} gzip`
    console.log(`tarball: ${kB(statSync(tarball).size)}`)
    console.log(`client entry, viem and ox apart: ${size(own.code)}`)
    console.log(`client entry with everything: ${size(whole.code)}`)
  } finally {
    copy.remove()
  }
  if (process.exitCode === undefined)
    console.log('package: publint, arethetypeswrong (ESM only) and both compilers have no complaint')
} finally {
  rmSync(folder, { recursive: true, force: true })
}
