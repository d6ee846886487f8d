// `mpp-flow request` and `mpp-flow sessions` as a person runs them, against a gateway that takes real payments.
// Must never look at anything but what the program prints, how it ends, and what gateway and chain saw of it.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { EXIT } from '../../src/cli/exit.js'
import type { WatchedGateway } from '../client/stage.js'
import { BYTES, chatBody, type FilePayer, type Ground, PROMPT, setGround, startFreeServer } from './ground.js'
import { printed, run, runAll, start } from './run-program.js'
import { leaks } from './secrets.js'

let ground: Ground
let gateway: WatchedGateway
let free: Awaited<ReturnType<typeof startFreeServer>>
let payer: FilePayer
let env: Record<string, string>

const amounts = z.object({
  deposit: z.string(),
  cumulative: z.string(),
  vouchersSigned: z.number(),
  paidSends: z.number(),
})
const answered = z.object({
  status: z.literal('succeeded'),
  exitCode: z.literal(0),
  http: z.object({ status: z.number(), headers: z.record(z.string(), z.string()), body: z.string() }),
  authorised: amounts.extend({ channelId: z.string().nullable() }),
  references: z.object({ requestId: z.string(), channelId: z.string() }),
  receipt: z.object({ spent: z.string() }),
  receiptProblem: z.null(),
  trace: z.array(z.object({ state: z.string(), event: z.string() })),
})
const listed = z.object({
  sessions: z.array(
    z.object({ channelId: z.string(), status: z.string(), signed: z.string(), pending: z.string().nullable() }),
  ),
})

beforeAll(async () => {
  ground = await setGround()
  free = await startFreeServer()
  gateway = await ground.gateway()
  payer = await ground.payer()
  env = { MPP_FLOW_RPC_URL: ground.stage.chain.rpcUrl, MPP_FLOW_STORE: ground.store() }
}, 60_000)

afterAll(async () => {
  await free?.stop()
  await ground?.stop()
})

describe('request', () => {
  it('dry-run signs nothing, sends nothing but the unpaid request, and leaves no ledger behind', async () => {
    const dry = await run(
      ['request', '--dry-run', '--key-file', payer.keyFile, '--json', chatBody(), gateway.chat],
      env,
    )
    expect({ code: dry.code, stderr: dry.stderr }).toEqual({ code: 0, stderr: '' })
    expect(dry.stdout).toContain('Would open a channel with a deposit of 5.00 pathUSD, and authorise up to 1.00 of it.')
    expect(dry.stdout).toMatch(/^ +fee +at most 0\.25$/m)
    expect(dry.stdout).toContain(payer.address)
    expect(dry.stdout).toContain(gateway.payee)
    expect(gateway.seen.map(({ authorization }) => authorization)).toEqual([undefined])
    expect(gateway.accounting().channels).toEqual([])
    expect(await contents(env.MPP_FLOW_STORE)).toEqual([])
  })

  it('pays, prints the body alone on standard output, and what happens on standard error', async () => {
    const paid = await run(['request', '-v', '--key-file', payer.keyFile, '--json', '@-', gateway.chat], env, {
      input: chatBody(),
    })
    expect(paid.code).toBe(0)
    expect(JSON.parse(paid.stdout)).toMatchObject({ object: 'chat.completion' })
    const states = ['requesting', 'authorizing.openingSession', 'paying', 'verifyingReceipt', 'succeeded']
    for (const state of states) expect(paid.stderr).toMatch(new RegExp(`^${state}  \\(`, 'm'))
    expect(paid.stderr).toContain('signed: a deposit of 5.00 pathUSD, and a first voucher up to 1.00')
    expect(paid.stderr).toMatch(/^> authorization: Payment \[cut: open, up to 1\.00, channel 0x[0-9a-f]{64}\]$/m)
    expect(paid.stderr).toMatch(
      /^< \[challenge: tempo\/session, 1\.00 pathUSD for each voucher bucket, chain 42431, payee 0x[0-9a-f]{40}\]$/m,
    )
    expect(paid.stderr).toMatch(
      /^200, paid with a voucher up to 1\.00 pathUSD \(signed now\), 5\.00 deposited, 0\.\d+ spent/m,
    )
    expect(paid.stderr).not.toContain('\u001b')
  })

  it('remembers the channel between runs: a second request signs nothing; --json before the command says all', async () => {
    const again = await run(['--json', 'request', '--json', chatBody(), gateway.chat], {
      ...env,
      MPP_FLOW_KEY: payer.key,
    })
    expect({ code: again.code, stderr: again.stderr }).toEqual({ code: 0, stderr: '' })
    expect(again.stdout.trimEnd().split('\n')).toHaveLength(1)
    const document = answered.parse(JSON.parse(again.stdout))
    expect(document.authorised).toMatchObject({ deposit: '0', cumulative: '1000000', vouchersSigned: 0, paidSends: 1 })
    expect(JSON.parse(document.http.body)).toMatchObject({ object: 'chat.completion' })
    expect(document.trace.at(-1)).toEqual({ state: 'succeeded', event: 'RECEIPT_VERIFIED' })
    expect(gateway.accounting().counts).toMatchObject({ opens: 1, paidSends: 2 })
  })

  it('dry-run of a request that would reuse a voucher sends none, and changes nothing in the ledger', async () => {
    const before = await contents(env.MPP_FLOW_STORE)
    expect(before).toHaveLength(1)
    const [dry] = await runAll(
      [['request', '--dry-run', '--key-file', payer.keyFile, '--json', chatBody(), gateway.chat]],
      env,
    )
    expect(dry).toMatchObject({ code: 0, stderr: '' })
    expect(dry?.stdout).toContain('Would pay with the voucher in hand, up to 1.00 pathUSD. Nothing new is signed.')
    expect(gateway.accounting().counts).toMatchObject({ opens: 1, paidSends: 2, rejectedCredentials: 0 })
    expect(await contents(env.MPP_FLOW_STORE)).toEqual(before)
  })

  it('prints the bytes of a free answer untouched', async () => {
    const { bytes, code, stderr } = await run(['request', '-s', '--key-file', payer.keyFile, `${free.url}/bytes`], env)
    expect({ code, stderr }).toEqual({ code: EXIT.ok, stderr: '' })
    expect(new Uint8Array(bytes)).toEqual(BYTES)
  })

  it('Ctrl-C cancels: it says what was signed and where that is kept, and exits with 130', async () => {
    const slow = await ground.gateway({ latencyMs: 20_000 })
    const store = ground.store()
    const other = await ground.payer()
    const args = ['request', '--store', store, '--key-file', other.keyFile, '--json', chatBody(), slow.chat]
    const { child, ended, saw } = start(args, env)
    await saw('paying  (OPEN_SIGNED)')
    await expect.poll(() => slow.accounting().counts.opens, { timeout: 20_000 }).toBe(1)
    child.kill('SIGINT')
    const { code, stdout, stderr } = await ended
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
    expect(stderr).toContain('mpp-flow request: cancelled: ')
    expect(stderr).toContain('sent vouchers up to 1.00 pathUSD and signed for 5.00 pathUSD of deposit')
    expect(stderr).toContain(`What was signed is in the ledger: ${store}`)
    const [list] = await runAll([['sessions', 'list', '--json', '--store', store]], {})
    expect(listed.parse(JSON.parse(list?.stdout ?? '')).sessions).toMatchObject([{ signed: '1000000' }])
  })
})

describe('sessions', () => {
  it('lists, shows and closes: what was not spent comes back to the payer', async () => {
    const key = ['--key-file', payer.keyFile]
    const stranger = await ground.payer(0n)
    const [channel] = gateway.accounting().channels
    const id = channel?.channelId ?? ''
    const before = await ground.stage.balance(payer.address)
    const lines = [
      ['sessions', 'list'],
      ['sessions', 'show', id.slice(0, 12)],
      ['sessions', 'show', '--json', id.slice(2, 14).toUpperCase()],
      ['sessions', 'show', '0x12'],
      ['sessions', 'show', '0x0000000000'],
      ['sessions', 'close', '--key-file', stranger.keyFile, id],
      ['sessions', 'close', ...key, '--json', id],
      ['sessions', 'close', ...key, id],
      ['sessions', 'list', '--json'],
      ['sessions', 'list', '--store', ground.store()],
    ]
    const [list, show, showJson, short, unknown, foreign, close, again, listJson, empty] = await runAll(lines, env)
    expect(list?.stdout).toContain(`│ ${id.slice(0, 12)}…`)
    expect(list?.stdout).toMatch(/│ open +│ pathUSD +│ +5\.00 │ +1\.00 │/)
    expect(show?.stdout).toMatch(new RegExp(`^channel +${id}\nstatus +open\n`))
    expect(JSON.parse(showJson?.stdout ?? '')).toMatchObject({ session: { channelId: id, status: 'open' } })
    for (const refused of [short, unknown, foreign]) expect(refused).toMatchObject({ code: EXIT.usage, stdout: '' })
    expect(foreign?.stderr).toContain('the channel belongs to')
    const settled = channel?.spent ?? '0'
    expect(JSON.parse(close?.stdout ?? '')).toMatchObject({
      status: 'closed',
      exitCode: 0,
      channelId: id,
      settlement: { settled, refunded: String(5_000_000n - BigInt(settled)) },
    })
    expect(again).toMatchObject({ code: 0, stdout: 'The channel had ended before; nothing was sent.\n' })
    expect(listed.parse(JSON.parse(listJson?.stdout ?? '')).sessions).toMatchObject([
      { channelId: id, status: 'closed' },
    ])
    expect(empty).toMatchObject({ code: 0, stdout: '' })
    expect(await ground.stage.balance(payer.address)).toBe(before + 5_000_000n - BigInt(settled))
  })
})

describe('all that was printed', () => {
  it('holds no key, credential, signature or transaction, and no prompt', () => {
    expect(leaks(ground.gateways, ground.keys, PROMPT)).toEqual([])
  })

  it('would be found: the search itself', () => {
    const [seen] = gateway.seen.filter(({ credential }) => credential !== undefined)
    const said = { args: ['planted'], stdout: '', stderr: `> authorization: ${seen?.authorization?.toUpperCase()}` }
    printed.push(said)
    expect(leaks(ground.gateways, ground.keys, PROMPT)).toContain('a credential in planted')
    printed.splice(printed.indexOf(said), 1)
  })
})

/** Every file of a folder that is there. */
async function contents(folder = ''): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => [])
  return Promise.all(names.sort().map((name) => readFile(join(folder, name), 'utf8')))
}
