// Compiles copies of the table of rejections: a code without a row must not get past the compiler.
// Must never change the table itself: copies live in memory.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { MPP_CODES, PROBLEM_TYPES } from '../../machines/index.js'

const FILE = resolve('machines/payment-flow.recovery.ts')
const TEXT = readFileSync(FILE, 'utf8')

const { options } = ts.parseJsonConfigFileContent(
  ts.readConfigFile('tsconfig.json', ts.sys.readFile).config,
  ts.sys,
  '.',
)

/** What the compiler says of the file with this text. */
function complaintsOf(text: string): readonly string[] {
  const host = ts.createCompilerHost({ ...options, noEmit: true })
  const { getSourceFile } = host
  host.getSourceFile = (name, ...rest) =>
    resolve(name) === FILE ? ts.createSourceFile(name, text, ts.ScriptTarget.ESNext) : getSourceFile(name, ...rest)
  const program = ts.createProgram([FILE], { ...options, noEmit: true }, host)
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
}

/** The row of a code in the table for requests, which the one for closes is made from. */
function rowOf(code: string): string {
  const row = new RegExp(`^ {2}(?:${code}|'${code}'): \\w+,\\n`, 'm').exec(TEXT)
  if (row === null) throw new Error(`there is no row for ${code}`)
  return row[0]
}

describe('the table of rejections', () => {
  it('compiles as it is', () => {
    expect(complaintsOf(TEXT)).toEqual([])
  })

  it.each(['mpp_payer_not_allowed', 'session/signer-mismatch'])('does not compile without a row for %s', (code) => {
    const complaints = complaintsOf(TEXT.replace(rowOf(code), ''))
    expect(complaints.join('\n')).toMatch(new RegExp(`Property '(?:"?${code}"?)' is missing`))
  })

  it('does not compile with a row for what is no code', () => {
    const row = rowOf('mpp_payer_not_allowed')
    const complaints = complaintsOf(TEXT.replace(row, `${row}  mpp_nobody_says_this: terminal,\n`))
    expect(complaints.join('\n')).toContain("'mpp_nobody_says_this' does not exist")
  })

  it('has a row for every code, in the words of the source', () => {
    for (const code of [...MPP_CODES, ...PROBLEM_TYPES]) expect(rowOf(code)).toContain(code)
  })
})
