// What the program says to a person: amounts in tokens with their names, and advice by options and commands of its own.
// Must never be satisfied by a name of the library that nobody can type on a command line.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CODE_FACTS, ERROR_CODES, type Failure, LOCAL_CODES } from '../../machines/index.js'
import { adviceOn, inOptions, withOptions } from '../../src/cli/advice.js'
import { EXIT } from '../../src/cli/exit.js'
import { createProgram } from '../../src/cli/program.js'
import { chatBody, type FilePayer, type Ground, setGround } from './ground.js'
import { runAll } from './run-program.js'

/** Keys of a policy and calls of the library. */
const LIBRARY_NAMES = /\b(max|allowed|authenticated)[A-Z]\w+|\w+\(|forceClose|base units/

describe('advice', () => {
  const program = createProgram(() => undefined)
  const commands = program.commands.flatMap((command) => [command, ...command.commands])
  const options = new Set(commands.flatMap((command) => command.options.map(({ long }) => long)))
  const names = new Set(
    program.commands.flatMap((command) => command.commands.map((child) => `${command.name()} ${child.name()}`)),
  )

  it.each(Object.values(ERROR_CODES).map(({ code }) => code))(
    'on %s names options and commands that there are',
    (code) => {
      const advice = adviceOn(code)
      expect(advice).not.toMatch(LIBRARY_NAMES)
      for (const [option] of advice.matchAll(/--[a-z-]+/g)) expect(options).toContain(option)
      for (const [, command = ''] of advice.matchAll(/"mpp-flow ([a-z -]+?)(?: --[a-z]+)?"/g))
        expect(names).toContain(command)
    },
  )

  it.each(['maxDeposit', 'maxCumulative', 'maxExposure', 'maxTotalDeposit', 'maxFee'] as const)(
    'on the limit %s names its option, and nothing else is changed',
    (limit) => {
      const failure: Failure = {
        code: 'limit_exceeded',
        advice: `Raise the limit ${limit} if you accept the cost, or send a smaller request.`,
        retryable: false,
        detail: `${limit}: 1.00 pathUSD wanted, 0.50 allowed`,
        limit,
        cause: null,
        mayHaveBeenCharged: false,
        references: { requestId: null, challengeId: null, channelId: null, httpStatus: 402 },
        authorised: { channelId: null, deposit: '0', cumulative: '0', feeAtMost: '0', vouchersSigned: 0, paidSends: 0 },
        token: null,
      }
      const option = `--${limit.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
      expect(options).toContain(option)
      expect(inOptions(failure)).toEqual({
        ...failure,
        advice: `Raise the limit ${option} if you accept the cost, or send a smaller request.`,
        detail: `${option}: 1.00 pathUSD wanted, 0.50 allowed`,
      })
    },
  )

  it('of a recovery names commands', () => {
    expect(withOptions('Get its deposit back with close(channelId, { url }) or forceClose')).toBe(
      'Get its deposit back with "mpp-flow sessions close --url" or "mpp-flow sessions force-close"',
    )
    expect(withOptions('a forced close can be finished: call forceClose again')).toBe(
      'a forced close can be finished: run "mpp-flow sessions force-close" again',
    )
  })

  it('that is about one failure alone is kept', () => {
    for (const code of LOCAL_CODES) expect(CODE_FACTS[code].advice).not.toBe('')
    const own = { code: 'internal_error', advice: 'There is nothing to get back.', detail: null } as const
    expect(inOptions({ ...EMPTY, ...own }).advice).toBe(own.advice)
  })
})

const EMPTY: Failure = {
  code: 'internal_error',
  advice: '',
  retryable: false,
  detail: null,
  limit: null,
  cause: null,
  mayHaveBeenCharged: false,
  references: { requestId: null, challengeId: null, channelId: null, httpStatus: null },
  authorised: { channelId: null, deposit: '0', cumulative: '0', feeAtMost: '0', vouchersSigned: 0, paidSends: 0 },
  token: null,
}

describe('a request', () => {
  let ground: Ground
  let payer: FilePayer
  let env: Record<string, string>

  beforeAll(async () => {
    ground = await setGround()
    payer = await ground.payer()
    env = { MPP_FLOW_RPC_URL: ground.stage.chain.rpcUrl, MPP_FLOW_KEY: payer.key, MPP_FLOW_STORE: ground.store() }
  }, 60_000)
  afterAll(() => ground?.stop())

  it('that tops up says by how much, and not 0.00; a limit is named by its option, and amounts are in tokens', async () => {
    const chat = ['request', '--json', chatBody()]
    const gateway = await ground.gateway({ suggestedDeposit: '0.2', bucket: '0.2' })
    const [first, second, third, denied, limited] = await runAll(
      [
        [...chat, gateway.chat],
        [...chat, gateway.chat],
        [...chat, gateway.chat],
        [...chat, '--allow-token', '0x20c0000000000000000000000000000000000001', gateway.chat],
        [...chat, '--store', ground.store(), '--max-deposit', '0.1', gateway.chat],
      ],
      env,
    )
    for (const paid of [first, second, third]) expect(paid?.code).toBe(EXIT.ok)
    const said = `${first?.stderr}${second?.stderr}${third?.stderr}`
    expect(said).toContain('topped up by 0.20 pathUSD: the chain shows a deposit of 0.40')
    expect(said).not.toContain('0.00')
    expect(denied).toMatchObject({ code: EXIT.notAllowed })
    expect(denied?.stderr).toContain('is not in --allow-token')
    expect(limited).toMatchObject({ code: EXIT.notAllowed })
    expect(limited?.stderr).toContain('--max-deposit: 0.20 pathUSD wanted, 0.10 allowed')
    expect(limited?.stderr).toContain('Raise the limit --max-deposit if you accept the cost')
    for (const { stderr = '' } of [denied ?? {}, limited ?? {}]) expect(stderr).not.toMatch(LIBRARY_NAMES)
  }, 120_000)
})
