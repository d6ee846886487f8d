// Shows the results: as JSON lines for programs, as a list with paths for people.
// Must never write an escape code where colours are off, nor more than 100 columns.

import type { createColors } from 'picocolors'
import type { CodeResult } from './run.js'

type Show = (result: CodeResult) => void

/** One JSON object per line: code, cause, outcome, failureCode, states. */
export function createJsonLines(write: (text: string) => void): Show {
  return ({ code, cause, outcome, failureCode, states }) =>
    write(`${JSON.stringify({ code, cause, outcome, failureCode, states })}\n`)
}

const WIDTH = 100
const INDENT = '      '

/** The code, where it leads and how it ended; below it the cause, and the states that followed. */
export function createPaths(write: (text: string) => void, colors: ReturnType<typeof createColors>): Show {
  const { bold, dim, green, red, yellow } = colors
  let first = true
  return ({ code, cause, how, leadsTo, bound, outcome, statesAfter, problems }) => {
    const sign = problems.length === 0 ? green('✓') : red('✗')
    const times = bound === 0 ? '' : ` ≤${bound}`
    const end = outcome === 'failed' || outcome === null ? yellow(outcome ?? 'not run') : green(outcome)
    if (first) write('\n')
    first = false
    write(`  ${sign}  ${bold(code.padEnd(40))} ${`${leadsTo}${times}`.padEnd(20)} ${end}\n`)
    for (const line of wrap(`${cause}: ${how}`.split(' '), ' ')) write(`${INDENT}${dim(line)}\n`)
    const names = statesAfter.map((state) => state.replace(/^.*\./, ''))
    for (const line of wrap(names, ' → ')) write(`${INDENT}${line}\n`)
    for (const problem of problems) for (const line of wrap(problem.split(' '), ' ')) write(`${INDENT}${red(line)}\n`)
    write('\n')
  }
}

/** Joins words to lines that fit. */
function wrap(words: readonly string[], joint: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of words) {
    const longer = line === '' ? word : `${line}${joint}${word}`
    if (INDENT.length + longer.length <= WIDTH || line === '') line = longer
    else {
      lines.push(`${line}${joint}`.trimEnd())
      line = word
    }
  }
  return line === '' ? lines : [...lines, line]
}
