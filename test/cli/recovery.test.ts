// `mpp-flow sessions recover` and `force-close` as a person runs them, after a lost ledger and without the gateway.
// Must never look at anything but what the program prints, how it ends, and what the chain says.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clock, forceCloseLine, recoverLine, type StepLine } from '../../src/cli/sessions/progress.js'
import { type Ground, setGround } from './ground.js'
import { run, runAll, start } from './run-program.js'

const BODY = '{"model":"sandbox-small","max_tokens":8,"messages":[{"role":"user","content":"Hi"}]}'
/** The grace period of TIP-1034, and a minute. */
const GRACE_SECONDS = 16 * 60

let ground: Ground

beforeAll(async () => {
  ground = await setGround()
}, 60_000)

afterAll(() => ground?.stop())

describe('recover', () => {
  it('finds the channel of a lost ledger on the chain, so that it can be closed', async () => {
    const gateway = await ground.stage.gateway()
    const payer = await ground.payer()
    const env = { MPP_FLOW_RPC_URL: ground.stage.chain.rpcUrl, MPP_FLOW_KEY: payer.key }
    const lost = ['--store', ground.store()]
    const store = ['--store', ground.store()]
    const request = ['request', '-s', '--json', BODY, gateway.chat]
    const paid = await run([...request, ...lost], env)
    expect(paid).toMatchObject({ code: 0, stderr: '' })
    const [channel] = gateway.accounting().channels
    const id = channel?.channelId ?? ''
    const [empty, first, second, noUrl, close] = await runAll(
      [
        ['sessions', 'list', ...store],
        ['sessions', 'recover', '--json', ...store],
        ['sessions', 'recover', ...store],
        ['sessions', 'close', '--json', ...store, id],
        ['sessions', 'close', '--json', ...store, '--url', gateway.chat, id],
      ],
      env,
    )
    expect(empty).toMatchObject({ code: 0, stdout: '' })
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(first?.stdout ?? '')).toMatchObject({
      status: 'recovered',
      channels: [{ channelId: id, source: 'chain', found: 'funded', action: 'adopted' }],
      searches: [{ chainId: 42431, opened: 1 }],
      unreadable: null,
    })
    expect(second?.stdout).toContain(`${id}  open\n  in the ledger; found funded, nothing had to be done\n`)
    // Nothing was sent: the option is missing.
    expect(noUrl).toMatchObject({ code: 2 })
    expect(noUrl?.stdout).toContain('name a paid route of its payee with --url')
    expect(JSON.parse(close?.stdout ?? '')).toMatchObject({ status: 'closed', channelId: id, exitCode: 0 })
    expect(await ground.stage.balance(payer.address)).toBe(100_000_000n - BigInt(channel?.spent ?? 0))
  }, 120_000)

  it('does not call itself complete when a chain cannot be asked', async () => {
    const payer = await ground.payer(0n)
    const args = ['sessions', 'recover', '--chain', '4217', '--json', '--store', ground.store()]
    const env = { MPP_FLOW_RPC_URL: ground.stage.chain.rpcUrl, MPP_FLOW_KEY: payer.key }
    const [other, away] = await runAll([args, ['sessions', 'recover', '--rpc-url', 'http://127.0.0.1:1/secret']], env)
    expect(other).toMatchObject({ code: 8 })
    expect(JSON.parse(other?.stdout ?? '')).toMatchObject({
      status: 'incomplete',
      searches: [{ chainId: 4217, blocks: null }],
    })
    expect(away).toMatchObject({ code: 8, stdout: '' })
    expect(away?.stderr).not.toContain('secret')
  }, 120_000)
})

describe('recover --trust-node', () => {
  it('names the node that is trusted, and looks at every channel by its word', async () => {
    const payer = await ground.payer(0n)
    const args = ['sessions', 'recover', '--trust-node', '--json', '--store', ground.store()]
    const [named, unnamed] = await Promise.all([
      run([...args, '--rpc-url', ground.stage.chain.rpcUrl], { MPP_FLOW_KEY: payer.key }),
      run(args, { MPP_FLOW_KEY: payer.key }),
    ])
    expect(named).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(named.stdout)).toMatchObject({ status: 'recovered', channels: [] })
    expect(unnamed.code).toBe(2)
    expect(`${unnamed.stdout}${unnamed.stderr}`).toContain('--trust-node needs --rpc-url')
  }, 120_000)
})

/** What a line that is rewritten shows, and what is said where it cannot be. */
function shown() {
  const lines: string[] = []
  const live: string[] = []
  const line: StepLine = {
    show(now, plain) {
      live.push(now)
      if (plain !== null && plain !== lines.at(-1)) lines.push(plain)
    },
    end: () => undefined,
  }
  return { lines, live, line }
}

describe('the progress of a recovery', () => {
  it('is the share that was looked at, and about how long the rest takes', () => {
    const { lines, live, line } = shown()
    let now = 0
    const show = recoverLine(line, () => now)
    show({ step: 'settling', left: 1, of: 3 })
    const searching = { step: 'searching', chainId: 4217, escrow: '0x4d', of: 1_000 } as const
    now = 10_000
    show({ ...searching, left: 750 })
    now = 10_500
    show({ ...searching, left: 740 })
    now = 40_000
    show({ ...searching, left: 0 })
    expect(live.map((text) => text.replace(/^\[.*\] /, ''))).toEqual([
      '2 of 3 channels of the ledger looked at',
      'chain 4217: 250 of 1000 blocks searched, about 00:30 left',
      'chain 4217: 260 of 1000 blocks searched, about 00:30 left',
      'chain 4217: 1000 of 1000 blocks searched',
    ])
    // Where it cannot be rewritten, one line for each tenth, and none while it is quick.
    expect(lines).toEqual([
      'searching chain 4217, escrow 0x4d: 20% of 1000 blocks',
      'searching chain 4217, escrow 0x4d: 100% of 1000 blocks',
    ])
  })

  it('has hours only where there are any', () => {
    expect([0, 59.2, 60, 3_599, 3_661].map(clock)).toEqual(['00:00', '01:00', '01:00', '59:59', '1:01:01'])
  })
})

describe('force-close', () => {
  it('gets the deposit back with the gateway gone, and goes on after Ctrl-C', async () => {
    const gateway = await ground.stage.gateway()
    const payer = await ground.payer()
    const store = ground.store()
    const env = { MPP_FLOW_RPC_URL: ground.stage.chain.rpcUrl, MPP_FLOW_KEY: payer.key, MPP_FLOW_STORE: store }
    expect((await run(['request', '-s', '--json', BODY, gateway.chat], env)).code).toBe(0)
    const id = gateway.accounting().channels[0]?.channelId ?? ''
    await gateway.stop()

    const asking = start(['sessions', 'force-close', id], env)
    await asking.saw('the grace period is running')
    asking.child.kill('SIGINT')
    const left = await asking.ended
    expect({ code: left.code, stdout: left.stdout }).toEqual({ code: 130, stdout: '' })
    expect(left.stderr).toContain('asking the chain for the close')
    expect(left.stderr).toContain('the request stands on the chain; run "mpp-flow sessions force-close" again to go on')

    await ground.stage.chain.advanceTime(GRACE_SECONDS + 1)
    const done = await run(['sessions', 'force-close', '--json', id], env)
    expect({ code: done.code, stderr: done.stderr }).toEqual({ code: 0, stderr: '' })
    // Nothing was settled by the payee: all of the deposit comes back.
    expect(JSON.parse(done.stdout)).toMatchObject({
      status: 'withdrawn',
      exitCode: 0,
      channelId: id,
      settlement: { settled: '0', refunded: '5000000' },
    })
    expect(await ground.stage.balance(payer.address)).toBe(100_000_000n)
  }, 120_000)

  it('says each step once, and each minute that is left', () => {
    const { lines, live, line } = shown()
    const { show, end } = forceCloseLine(line)
    const seconds = [900, 899, 841, 840, 61, 60]
    const rest = { channelId: '0x01', withdrawableAt: 1, txHash: null }
    show({ ...rest, step: 'requesting', secondsLeft: null })
    for (const secondsLeft of seconds) show({ ...rest, step: 'waiting', secondsLeft })
    show({ ...rest, step: 'withdrawing', secondsLeft: 0 })
    end()
    // Half of the bar is empty when half of the time is left.
    show({ ...rest, step: 'waiting', secondsLeft: 480 })
    end()
    expect(live.at(-1)).toMatch(/^\[█{10}─{10}\] 08:00 left of the grace period, until 1970-01-01T00:00:01Z; Ctrl-C/)
    lines.pop()
    expect(lines.map((line) => /(\d+) min left/.exec(line)?.[1] ?? line.split(' ')[0])).toEqual([
      'asking',
      '15',
      '14',
      '2',
      '1',
      'withdrawing',
    ])
  })
})
