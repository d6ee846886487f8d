// `npm run bench`: measures this client next to plain fetches and to mppx, in one run, and writes what came of it.
// Must never leave a process, a port or a temporary folder behind, also when a section fails.

import { writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Compiled, compile } from './compile.js'
import { runChild, startServer } from './processes.js'
import { inBytes, type SectionResult, sectionSchema, type Table } from './result.js'
import { startup } from './startup.js'
import { figuresOf, summarise, targets } from './summary.js'
import { asMarkdown, asText } from './tables.js'

const { values } = parseArgs({
  options: {
    /** Under a minute, and rougher. */
    quick: { type: 'boolean', default: false },
    /** Ends with the ratios in one line of JSON. */
    json: { type: 'boolean', default: false },
    /** Writes the tables for docs/performance.md. */
    markdown: { type: 'boolean', default: false },
    /** One section alone; there is no summary then. */
    only: { type: 'string' },
    /** A folder for CPU profiles of the sections. */
    profile: { type: 'string' },
  },
})

const RESULTS = fileURLToPath(new URL('results.json', import.meta.url))

/** Sections in processes of their own. */
const SECTIONS: readonly { readonly name: string; readonly part?: string }[] = [
  { name: 'latency' },
  { name: 'throughput' },
  { name: 'cpu' },
  { name: 'heap', part: '1000' },
  { name: 'heap', part: '10000' },
  { name: 'signing' },
  { name: 'growth' },
]

async function measureAll(compiled: Compiled): Promise<SectionResult[]> {
  const { quick, only, profile } = values
  const results: SectionResult[] = []
  const wanted = (name: string): boolean => only === undefined || only === name
  const nodeOptions = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
  const show = (result: SectionResult): void => {
    results.push(result)
    for (const table of result.tables) console.log(`${values.markdown ? asMarkdown(table) : asText(table)}\n`)
  }
  const sections = SECTIONS.filter(({ name, part }) => wanted(name) && !(quick && part === '10000'))
  for (const { name, part } of sections) {
    const server = await startServer(compiled.module('test/bench/ground/memory-server.ts'))
    try {
      const task = { quick, origin: server.url, ...(part !== undefined && { part }) }
      show(await runChild(compiled.module(`test/bench/sections/${name}.ts`), task, sectionSchema, nodeOptions))
    } finally {
      await server.stop()
    }
  }
  if (wanted('startup')) show(await startup(compiled, { quick }))
  return results
}

function machine(): Record<string, string | number> {
  const processors = cpus()
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    processor: processors[0]?.model ?? 'unknown',
    processors: processors.length,
    memory: inBytes(totalmem()),
  }
}

const compiled = compile()
try {
  const sections = await measureAll(compiled)
  if (values.only === undefined) {
    const figures = figuresOf(sections)
    const summary = summarise(figures)
    const headline: Table = {
      title: 'Ratios, and their targets',
      columns: ['', 'target', 'measured', ''],
      rows: targets(summary).map(({ name, target, measured, met }) => [name, target, measured, met ? 'met' : 'missed']),
    }
    console.log(values.markdown ? asMarkdown(headline) : asText(headline))
    const written = { at: new Date().toISOString(), quick: values.quick, machine: machine(), summary, sections }
    writeFileSync(RESULTS, `${JSON.stringify(written, null, 2)}\n`)
    if (values.json) console.log(JSON.stringify(summary))
  }
} finally {
  compiled.remove()
}
