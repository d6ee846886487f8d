// How `mpp-flow request` ends: every exit code by what really causes it, and what cannot be used refused before it is sent.
// Must never look at anything but what the program prints, how it ends, and what gateway and chain saw of it.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { EXIT } from '../../src/cli/exit.js'
import type { WatchedGateway } from '../client/stage.js'
import { chatBody, type FilePayer, type Ground, PROMPT, setGround, startFreeServer } from './ground.js'
import { type Call, runAll } from './run-program.js'
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

describe('how it ends', () => {
  let calls: Map<string, Call>
  let signer: FilePayer

  beforeAll(async () => {
    const poor = await ground.payer(0n)
    const loose = await ground.payer(0n, 0o640)
    const blocking = await ground.gateway({ blockedPayers: [payer.address] })
    const losing = await ground.gateway()
    losing.inject('mpp_commit_failed')
    const other = await ground.payer()
    signer = await ground.payer(0n)
    const damaged = ground.store()
    const notJson = join(ground.folder, 'not.json')
    await writeFile(notJson, '{"model":', { mode: 0o600 })
    const key = ['--key-file', payer.keyFile]
    const fresh = (): string[] => ['--store', ground.store()]
    const ask = (...args: string[]): string[] => ['request', ...args]
    const chat = ['--json', chatBody()]
    const lines: Record<string, string[]> = {
      signer: ask('-s', ...key, ...fresh(), '--voucher-key-file', signer.keyFile, ...chat, gateway.chat),
      missing: ask('-s', ...key, `${free.url}/elsewhere`),
      limit: ask('-s', ...key, ...fresh(), '--max-deposit', '0.5', ...chat, gateway.chat),
      denied: [
        '--json',
        ...ask(...key, ...fresh(), '--allow-origin', 'https://gateway.example', ...chat, gateway.chat),
      ],
      poor: ask('-s', '--key-file', poor.keyFile, ...fresh(), ...chat, gateway.chat),
      lightning: ask('-s', ...key, `${free.url}/lightning`),
      blocked: ask('-s', ...key, ...fresh(), ...chat, blocking.chat),
      away: ask('-s', ...key, 'http://127.0.0.1:1/'),
      lost: ask('--key-file', other.keyFile, ...fresh(), ...chat, losing.chat),
      stream: ['--json', ...ask(...key, '--json', '{"stream":true}', gateway.chat)],
      dryLimit: ['--json', ...ask('--dry-run', ...key, ...fresh(), '--max-cumulative', '0.25', ...chat, gateway.chat)],
      dryFree: ['--json', ...ask('--dry-run', `${free.url}/bytes`)],
      dryJson: ['--json', ...ask('--dry-run', ...key, ...chat, gateway.chat)],
      // Arguments, keys and files that cannot be used.
      keyAsArgument: ask('--key', payer.key, ...chat, gateway.chat),
      keyAsArgumentJoined: ['--json', ...ask(`--private-key=${payer.key}`, ...chat, gateway.chat)],
      keyAsFile: ask('--key-file', payer.key, ...chat, gateway.chat),
      keyAsUrl: ask(payer.key),
      keyAsOption: ask(`--${payer.key}`, gateway.chat),
      looseKey: ask('--key-file', loose.keyFile, ...chat, gateway.chat),
      noKeyFile: ask('--key-file', join(ground.folder, 'absent'), ...chat, gateway.chat),
      emptyKeyFile: ask('--key-file', notJson, ...chat, gateway.chat),
      folderAsKey: ask('--key-file', ground.folder, ...chat, gateway.chat),
      noKey: ask(...chat, gateway.chat),
      notJson: ask(...key, '--json', `@${notJson}`, gateway.chat),
      jsonIsBody: ask(...key, '--json', gateway.chat),
      twoBodies: ask(...key, ...chat, '--data', 'x', gateway.chat),
      header: ask(...key, '-H', 'secret-token', gateway.chat),
      amount: ask(...key, '--max-deposit', 'five', ...chat, gateway.chat),
      token: ask(...key, '--allow-token', '0x12', ...chat, gateway.chat),
      chain: ask(...key, '--allow-chain', 'tempo', ...chat, gateway.chat),
      approve: ask(...key, '--approve', ...chat, gateway.chat),
      password: ask(...key, 'http://me:password@127.0.0.1/'),
      unknown: ['--json', 'reqest'],
      nothing: [],
      explain: ['explain', 'mpp_nonsense_bucket_refresh'],
    }
    const env2 = { ...env, MPP_FLOW_STORE: damaged }
    const results = await runAll(Object.values(lines), env2)
    calls = new Map(
      Object.keys(lines).map((name, index) => [name, results[index] ?? { code: -1, stdout: '', stderr: '' }]),
    )
  }, 180_000)

  const call = (name: string): Call => {
    const found = calls.get(name)
    if (found === undefined) throw new Error(`no call ${name}`)
    return found
  }

  it('0: paid with vouchers that a second key has signed', () => {
    expect(call('signer')).toMatchObject({ code: EXIT.ok, stderr: '' })
    const signers = gateway.seen.flatMap(({ credential }) => credential?.payload.descriptor.authorizedSigner ?? [])
    expect(signers).toEqual([signer.address.toLowerCase()])
  })

  it.each([
    ['missing', EXIT.httpError, ''],
    ['limit', EXIT.notAllowed, 'limit_exceeded: '],
    ['poor', EXIT.wallet, 'wallet_balance_insufficient: '],
    ['lightning', EXIT.challenge, 'challenge_unsupported: '],
    ['blocked', EXIT.refused, 'mpp_payer_not_allowed: '],
    ['away', EXIT.unavailable, 'connection_failed: '],
    ['lost', EXIT.unknown, 'mpp_commit_failed: '],
  ] as const)('%s: exits with %i and says why', (name, code, why) => {
    const { stderr, ...rest } = call(name)
    expect(rest).toEqual({ code, stdout: name === 'missing' ? 'nothing here\n' : '' })
    expect(stderr).toContain(why === '' ? '' : `mpp-flow request: ${why}`)
  })

  it('names what may have been paid for: the amounts, and where they are kept', () => {
    expect(call('lost').stderr).toMatch(
      /signed for 5\.00 pathUSD of deposit[\s\S]*\nWhat was signed is in the ledger: /,
    )
    expect(call('blocked').stderr).toContain('signed for 5.00 pathUSD of deposit')
    expect(call('limit').stderr).toContain('Nothing was authorised by this request.')
  })

  it('--json: errors are one document with the same exit code', () => {
    const denied = z.object({
      status: z.literal('failed'),
      exitCode: z.number(),
      error: z.object({ code: z.string(), message: z.string(), advice: z.string(), retryable: z.boolean() }),
      authorised: amounts,
      trace: z.array(z.object({})),
      http: z.null(),
    })
    expect(denied.parse(JSON.parse(call('denied').stdout))).toMatchObject({
      exitCode: EXIT.notAllowed,
      error: { code: 'policy_denied' },
    })
    expect(call('denied')).toMatchObject({ code: EXIT.notAllowed, stderr: '' })
    expect(JSON.parse(call('stream').stdout)).toMatchObject({
      exitCode: EXIT.refused,
      error: { code: 'mpp_streaming_unavailable' },
    })
    for (const name of ['keyAsArgumentJoined', 'unknown'])
      expect(JSON.parse(call(name).stdout)).toMatchObject({ status: 'failed', exitCode: 2, error: { code: 'usage' } })
    expect(call('unknown').stdout).toContain('Did you mean request?')
  })

  it('dry-run: the same limits, the same exit codes, and a plan for programs', () => {
    expect(JSON.parse(call('dryLimit').stdout)).toMatchObject({
      exitCode: EXIT.notAllowed,
      error: { code: 'limit_exceeded', limit: 'maxCumulative' },
      authorised: { paidSends: 0, vouchersSigned: 0 },
    })
    expect(JSON.parse(call('dryFree').stdout)).toEqual({
      status: 'nothing-to-pay',
      exitCode: 0,
      http: { status: 200 },
      payer: null,
    })
    expect(JSON.parse(call('dryJson').stdout)).toMatchObject({
      status: 'planned',
      plan: { kind: 'open', deposit: '5000000', cumulative: '1000000' },
      challenge: { chainId: 42431, recipient: gateway.payee },
      payer: payer.address,
    })
  })

  it.each([
    ['keyAsArgument', 'never taken from an argument'],
    ['keyAsFile', '--key-file takes the name of a file, not a key'],
    ['keyAsUrl', 'no http or https URL'],
    ['keyAsOption', "unknown option '--…'"],
    ['looseKey', 'can be used by others (mode 0640)'],
    ['noKeyFile', 'cannot be read (ENOENT)'],
    ['emptyKeyFile', 'does not hold a private key'],
    ['folderAsKey', 'is not a regular file'],
    ['noKey', 'there is no key to pay with'],
    ['notJson', 'is not JSON'],
    ['jsonIsBody', '--json takes a body here'],
    ['twoBodies', 'cannot be used with'],
    ['header', 'header 1 is not written as "Name: value"'],
    ['amount', '--max-deposit must be'],
    ['token', '--allow-token must be'],
    ['chain', '--allow-chain takes the id of a chain'],
    ['approve', '--approve asks on the terminal'],
    ['password', 'user name or password'],
    ['explain', 'Did you mean mpp_voucher_bucket_refresh_required'],
  ])('%s: refused with 2 before anything is sent', (name, why) => {
    const { code, stdout, stderr } = call(name)
    expect({ code, stdout }).toEqual({ code: EXIT.usage, stdout: '' })
    expect(stderr).toContain(why)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(stderr).not.toContain('secret-token')
  })

  it('nothing: the help goes to standard error', () => {
    expect(call('nothing')).toMatchObject({ code: EXIT.usage, stdout: '' })
    expect(call('nothing').stderr).toMatch(/^Usage: mpp-flow [\s\S]*mpp-flow: a command is missing\n$/)
  })
})

describe('all that was printed', () => {
  it('holds no key, credential, signature or transaction, and no prompt', () => {
    expect(leaks(ground.gateways, ground.keys, PROMPT)).toEqual([])
  })
})
