// What can be told of the program without starting it: its commands, their help, its exit codes.
// Must never compare the wording of help texts, only names.

import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { ERROR_CODES, LOCAL_CODES, MPP_CODES, PROBLEM_TYPES } from '../../machines/index.js'
import { withoutSecrets } from '../../src/cli/command-run.js'
import { EXIT, exitOf, exitOfFailure } from '../../src/cli/exit.js'
import { createProgram } from '../../src/cli/program.js'

/** `sessions close` → its options and arguments. */
function namesOf(command: Command, path = ''): [string, string][] {
  const options = command.options.map(({ long }) => long ?? '')
  const args = command.registeredArguments.map((argument) => `<${argument.name()}>`)
  const own: [string, string][] = path === '' ? [] : [[path, [...args, ...options].join(' ')]]
  return [...own, ...command.commands.flatMap((child) => namesOf(child, `${path} ${child.name()}`.trim()))]
}

const PAYER = '--store --key-file --voucher-key-file --rpc-url'
const POLICY =
  '--max-deposit --max-total-deposit --max-cumulative --max-exposure --max-fee ' +
  '--allow-origin --allow-chain --allow-token --allow-payee --allow-operator --allow-escrow --authenticated-origin'

describe('the program', () => {
  const program = createProgram(() => undefined)
  const commands = new Map(namesOf(program))

  it('has these commands, arguments and options', () => {
    expect(Object.fromEntries(commands)).toEqual({
      request: `<url> --request --header --json --data --dry-run --approve --verbose --silent ${PAYER} ${POLICY}`,
      sessions: '',
      'sessions list': '--store --json',
      'sessions show': '<channel> --store --json',
      'sessions close': `<channel> --url --verbose --json ${PAYER}`,
      'sessions force-close': `<channel> --fee-token --max-fee --json ${PAYER}`,
      'sessions recover': `--chain --escrow --from-block --max-exposure --reuse --trust-node --json ${PAYER}`,
      demo: '--json',
      codes: '<code> --json',
      explain: '<code> --json',
      diagram: '<machine> --format --json',
      paths: '--format --states --output',
      model: '--pairs --every-pair --check --mutate --json --concurrency',
      inspect: '--port --no-open --json',
      sandbox: '--port --bucket --suggested-deposit --price-per-token --json',
    })
  })

  it('explains every command, within 80 columns but for examples', () => {
    const explain = (command: Command): void => {
      const help = command.helpInformation()
      expect(help).toContain(`Usage: ${command.name() === 'mpp-flow' ? '' : 'mpp-flow '}`)
      expect(command.description()).toMatch(/^[A-Z].*\.$/)
      for (const option of command.options) expect(`${option.long} ${option.description}`).toMatch(/^--[a-z-]+ ./)
      for (const argument of command.registeredArguments) expect(argument.description).not.toBe('')
      expect(help.split('\n').filter((line) => line.length > 80)).toEqual([])
      command.commands.forEach(explain)
    }
    explain(program)
  })

  it('takes no key as an option of any command', () => {
    for (const [command, names] of commands) expect(`${command} ${names}`).not.toMatch(/--(\w+-)*key( |$)/)
  })
})

describe('exit codes', () => {
  it('are distinct, and none of them is one that shells use for themselves', () => {
    const codes = Object.values(EXIT)
    expect(new Set(codes).size).toBe(codes.length)
    expect(codes.every((code) => code < 64)).toBe(true)
  })

  it('say that a request may have been charged, whatever ended its flow', () => {
    expect(exitOfFailure({ code: 'cancelled', mayHaveBeenCharged: true })).toBe(EXIT.unknown)
    expect(exitOfFailure({ code: 'cancelled', mayHaveBeenCharged: false })).toBe(EXIT.failed)
  })

  it('exist for every code, and say so where work may have been done', () => {
    for (const code of [...MPP_CODES, ...PROBLEM_TYPES, ...LOCAL_CODES])
      expect(Object.values(EXIT)).toContain(exitOf(code))
    const unknown = Object.values(ERROR_CODES).filter(({ code }) => exitOf(code) === EXIT.unknown)
    expect(unknown.map(({ code }) => code)).toEqual(['mpp_commit_failed', 'internal-payment-error', 'outcome_unknown'])
    // Whoever may simply try again later is told so by the machine as well.
    for (const { code, retryable } of Object.values(ERROR_CODES))
      if (exitOf(code) === EXIT.unavailable) expect(`${code} ${retryable}`).toBe(`${code} true`)
  })
})

describe('messages of unknown origin', () => {
  it('lose whatever may be a key, a signature or a transaction', () => {
    const key = 'ab'.repeat(32)
    expect(withoutSecrets(`no 0x${key} and no ${key.toUpperCase()}${key}, but 0x12`)).toBe('no … and no …, but 0x12')
  })
})
