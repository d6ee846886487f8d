// docs/cli.md against the program: commands, options, exit codes, variables.
// Must never be made to pass by leaving something out of the program's own lists.

import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { LOCAL_CODES } from '../../machines/index.js'
import { EXIT, EXIT_OF_SIGNAL, exitOf } from '../../src/cli/exit.js'
import { PAYER_KEY, VOUCHER_KEY } from '../../src/cli/keys.js'
import { createProgram } from '../../src/cli/program.js'

const page = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8')

it('names every command, and every option of request', () => {
  const program = createProgram(() => undefined)
  for (const command of program.commands) {
    expect(page).toContain(`\`${command.name()}`)
    for (const child of command.commands) expect(page).toContain(`\`${command.name()} ${child.name()}`)
  }
  const request = program.commands.find((command) => command.name() === 'request')
  for (const { long, short, envVar } of request?.options ?? []) {
    expect(`${long} ${page.includes(`\`${long}`) || page.includes(`\`${short}\``)}`).toBe(`${long} true`)
    if (envVar !== undefined) expect(page).toContain(`\`${envVar}\``)
  }
  for (const { variable, option } of [PAYER_KEY, VOUCHER_KEY]) {
    expect(page).toContain(`\`${variable}\``)
    expect(page).toContain(`\`${option}\``)
  }
})

it('has every exit code, with the codes that lead there', () => {
  const rows = new Map(
    [...page.matchAll(/^\| ([0-9, ]+) \| .*? \| ?(.*?) ?\|$/gm)].map(([, code = '', codes = '']) => [code, codes]),
  )
  expect([...rows.keys()]).toEqual([
    ...Object.values(EXIT).map(String),
    Object.values(EXIT_OF_SIGNAL).sort().join(', '),
  ])
  for (const code of LOCAL_CODES) {
    const row = rows.get(String(exitOf(code))) ?? ''
    // A failure of the program itself needs no code, and what is cancelled ends with the signal's.
    if (exitOf(code) !== EXIT.failed) expect(row).toContain(`\`${code}\``)
  }
})
