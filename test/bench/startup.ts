// How long the client entry takes to import, and what it weighs in a bundle.
// Must never import it here: each import is measured in a new process.

import { execFileSync } from 'node:child_process'
import { gzipSync } from 'node:zlib'
import { bundle } from '../browser/bundle.js'
import { installBuilt } from '../browser/package-copy.js'
import type { Compiled } from './compile.js'
import { type Effort, inBytes, type SectionResult, told } from './result.js'
import { type Spread, spreadOf, turnOrder } from './statistics.js'

const PROGRAM = 'const t = performance.now(); await import(process.argv[1]); console.log(performance.now() - t)'

/** Milliseconds of an import in a new process. */
function importTime(directory: string, specifier: string): number {
  const args = ['--input-type=module', '--eval', PROGRAM, specifier]
  return Number(execFileSync(process.execPath, args, { cwd: directory, encoding: 'utf8' }))
}

/** The minified size of a program, and what it is compressed to. */
function sizeOf(code: string): readonly [number, number] {
  return [Buffer.byteLength(code), gzipSync(code, { level: 9 }).length]
}

/** Measures imports and bundles. */
export async function startup({ directory, module }: Compiled, { quick }: Effort): Promise<SectionResult> {
  const figures: Record<string, Spread> = {}
  const copy = await installBuilt()
  const imported = [
    ['mpp-flow', copy.directory, 'mpp-flow'],
    ['viem alone, as far as mpp-flow needs it', directory, module('test/bench/ground/viem-alone.ts')],
    ['mppx/client', directory, 'mppx/client'],
  ] as const
  try {
    const times = imported.map((): number[] => [])
    for (let round = 0; round < (quick ? 1 : 12); round += 1) {
      for (const at of turnOrder(imported.length, round)) {
        const subject = imported[at]
        if (subject === undefined) throw new RangeError('no such import')
        times[at]?.push(importTime(subject[1], subject[2]))
      }
    }
    const imports = imported.map(([name], at): string[] => {
      const spread = spreadOf(times[at] ?? [])
      figures[`import of ${name} (ms)`] = spread
      return [name, told(spread)]
    })

    // Kept whole, as no tree is shaken that hangs on the global object.
    const program = "import * as client from 'mpp-flow'\nglobalThis.client = client\n"
    const whole = await bundle(copy.directory, program)
    const own = await bundle(copy.directory, program, [/^viem($|\/)/, /^ox($|\/)/])
    const sizes = [
      ['client entry, viem and ox apart', sizeOf(own.code)],
      ['client entry with everything', sizeOf(whole.code)],
    ] as const
    for (const [name, [minified, gzipped]] of sizes) {
      figures[`bundle, ${name}, minified (bytes)`] = spreadOf([minified])
      figures[`bundle, ${name}, gzip (bytes)`] = spreadOf([gzipped])
    }
    return {
      section: 'startup',
      tables: [
        { title: 'Import in a new process', columns: ['', 'ms'], rows: imports },
        {
          title: 'Bundle for browsers',
          columns: ['', 'minified', 'gzip'],
          rows: sizes.map(([name, [minified, gzipped]]) => [name, inBytes(minified), inBytes(gzipped)]),
        },
      ],
      figures,
    }
  } finally {
    copy.remove()
  }
}
