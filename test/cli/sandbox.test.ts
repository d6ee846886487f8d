// `mpp-flow sandbox`, and the commands that only show something: child processes, from start to end.
// Must never leave the sandbox running.

import { access, stat } from 'node:fs/promises'
import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ERROR_CODES } from '../../machines/index.js'
import { askOnTerminal } from '../../src/cli/request/approval.js'
import type { PaymentIntent } from '../../src/client/index.js'
import { run, runAll, start } from './run-program.js'

const ready = z.object({
  status: z.literal('ready'),
  gateway: z.url(),
  rpcUrl: z.url(),
  chainId: z.number(),
  token: z.string(),
  payee: z.string(),
  payer: z.string(),
  payerBalance: z.string(),
  keyFile: z.string(),
  store: z.string(),
})

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

describe('sandbox', () => {
  it('prints how to pay, can be paid like that, and leaves nothing behind on Ctrl-C', async () => {
    const { child, ended, saw } = start(['sandbox', '--json', '--bucket', '0.5'])
    try {
      let line = ''
      child.stdout?.on('data', (chunk: Buffer) => {
        line += chunk.toString()
      })
      await saw('"ready"')
      await expect.poll(() => line.endsWith('\n')).toBe(true)
      const { gateway, rpcUrl, keyFile, store, payerBalance } = ready.parse(JSON.parse(line))
      expect(payerBalance).toBe('1000000000')
      expect((await stat(keyFile)).mode & 0o777).toBe(0o600)
      const body = '{"model":"sandbox-small","max_tokens":8,"messages":[{"role":"user","content":"Hi"}]}'
      const args = ['request', '--key-file', keyFile, '--rpc-url', rpcUrl, '--store', store, '--json', body, gateway]
      const paid = await run(args)
      expect(paid).toMatchObject({ code: 0 })
      expect(paid.stderr).toContain('paid with a voucher up to 0.50')
      child.kill('SIGINT')
      expect(await ended).toMatchObject({ code: 0, stderr: '' })
      expect(await exists(keyFile)).toBe(false)
      expect(await exists(store)).toBe(false)
      await expect(fetch(gateway)).rejects.toThrow('fetch failed')
      await expect(fetch(rpcUrl)).rejects.toThrow('fetch failed')
    } finally {
      child.kill('SIGKILL')
    }
  }, 120_000)
})

describe('inspect', () => {
  it('serves the page of a sandbox until Ctrl-C', async () => {
    const { child, ended, saw } = start(['inspect', '--no-open', '--json'])
    try {
      let line = ''
      child.stdout?.on('data', (chunk: Buffer) => {
        line += chunk.toString()
      })
      await saw('"ready"')
      await expect.poll(() => line.endsWith('\n')).toBe(true)
      const { url, gateway } = z.object({ url: z.url(), gateway: z.url() }).parse(JSON.parse(line))
      const page = await fetch(url)
      expect(page.status).toBe(200)
      expect(await page.text()).toMatch(/<!doctype html>/i)
      child.kill('SIGINT')
      expect(await ended).toMatchObject({ code: 0, stderr: '' })
      for (const gone of [url, gateway]) await expect(fetch(gone)).rejects.toThrow('fetch failed')
    } finally {
      child.kill('SIGKILL')
    }
  }, 120_000)
})

describe('commands that show something', () => {
  it('explain what is in the machines, and draw them', async () => {
    const code = 'mpp_voucher_bucket_refresh_required'
    const lines = [
      ['explain', code],
      ['explain', '--json', code],
      ['explain', 'https://paymentauth.org/problems/session/insufficient-balance'],
      ['explain', 'limit_exceeded'],
      ['explain', '--json'],
      ['diagram', 'session', '--format', 'mermaid'],
      ['diagram', '--json'],
      ['diagram', 'provider-route'],
      ['--version'],
      ['sessions', 'close', '--help'],
      ['sandbox', '--port', '123456'],
      ['sandbox', '--bucket', 'one'],
      ['sandbox', '--suggested-deposit', '-5'],
      ['diagram', 'nothing'],
    ]
    const results = await runAll(lines, {})
    const text = (index: number): string => results[index]?.stdout ?? ''
    expect(results.map((result) => result.code)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2])
    expect(text(0)).toContain(`leads to   voucher-refresh, at most 3 times a flow`)
    expect(text(0)).toMatch(/^ {2}paying +→ parsingChallenge /m)
    const { leadsTo, bound } = ERROR_CODES[code]
    expect(JSON.parse(text(1))).toMatchObject({ code, leadsTo, bound, transitions: expect.any(Array) })
    expect(text(2)).toContain('session/insufficient-balance\n')
    expect(text(3)).toMatch(/planning +→ failed {2}\[planRefuses\]/)
    expect(JSON.parse(text(4))).toMatchObject({ codes: Object.values(ERROR_CODES) })
    expect(text(5)).toContain('stateDiagram')
    expect(JSON.parse(text(6))).toMatchObject({ id: 'paymentFlow' })
    expect(text(7)).toMatch(/^<svg [\s\S]*<\/svg>\s*$/)
    expect(text(8)).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(text(9)).toContain('--voucher-key-file')
    for (const [index, option] of [
      [11, '--bucket'],
      [12, '--suggested-deposit'],
    ] as const) {
      expect(results[index]?.stderr).toBe(
        `mpp-flow sandbox: ${option} must be a string with an amount of tokens, such as '5' or '0.25', of at most 6 decimals\n`,
      )
    }
  }, 120_000)
})

describe('the question before funds move', () => {
  const intent: PaymentIntent = {
    action: 'open',
    deposit: '5000000',
    cumulative: '1000000',
    fee: '250000',
    feeToken: '0x01',
    chainId: 42431,
    token: '0x01',
    payee: '0x02',
    escrow: '0x03',
    origin: 'https://gateway.example',
    channelId: null,
  }

  async function answer(typed: string, abort = new AbortController()) {
    const input = new PassThrough()
    const output = new PassThrough()
    let shown = ''
    let left = typed
    output.on('data', (chunk: Buffer) => {
      shown += chunk.toString()
      if (!shown.includes('in all?') || left === '') return
      // A person answers after the question was drawn.
      setTimeout((text) => input.write(text), 20, left)
      left = ''
    })
    let interrupted = false
    const ask = askOnTerminal({ input, output, signal: abort.signal, onInterrupt: () => (interrupted = true) })
    return { allowed: await ask(intent), interrupted, shown }
  }

  it('shows what would move and to whom, and takes only a yes for one', async () => {
    const yes = await answer('y\n')
    expect(yes).toMatchObject({ allowed: true, interrupted: false })
    expect(yes.shown).toContain('https://gateway.example asks to be paid: to 0x02, in the token 0x01 on chain 42431.')
    expect(yes.shown).toContain('The transaction costs at most 0.25 tokens of 0x01 besides.')
    expect(yes.shown).toContain('Open a channel with a deposit of 5.00 tokens, and authorise up to 1.00 in all?')
    for (const typed of ['n\n', '\n', 'maybe\n']) expect(await answer(typed)).toMatchObject({ allowed: false })
  })

  it('a cancelled request ends it without a yes, and Ctrl-C cancels the request', async () => {
    const abort = new AbortController()
    setTimeout(() => abort.abort(), 20)
    expect(await answer('', abort)).toMatchObject({ allowed: false, interrupted: false })
    expect(await answer('\u0003')).toMatchObject({ allowed: false, interrupted: true })
  })
})
