// The demo as a person runs it: a child process, in both of its modes, and what it does when it is cut short.
// Must never look at anything but what the process prints and how it ends.

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { toHex } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Report, SummaryReport, TransitionReport } from '../../src/cli/demo/reports.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SUMMARY_KEYS = [
  'type',
  'requests',
  'succeeded',
  'unpaidSends',
  'paidSends',
  'channelsOpened',
  'topUps',
  'vouchersSigned',
  'voucherReuses',
  'deposited',
  'captured',
  'refunded',
  'payerBefore',
  'payerAfter',
  'conserved',
]

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** As they arrived. */
  readonly chunks: readonly string[]
}

/** @param before modules loaded before the demo. */
function start(
  args: readonly string[],
  env: Record<string, string> = {},
  before: readonly string[] = [],
): ChildProcess {
  const imports = ['tsx', ...before].flatMap((module) => ['--import', module])
  const { NO_COLOR: _no, FORCE_COLOR: _force, ...inherited } = process.env
  return spawn(process.execPath, [...imports, 'src/cli/demo.ts', ...args], {
    cwd: ROOT,
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

function ended(child: ChildProcess): Promise<Ended> {
  const chunks: string[] = []
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => chunks.push(text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ code, stdout: chunks.join(''), stderr, chunks }))
  })
}

function parseReports(stdout: string): Report[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((text): Report => JSON.parse(text))
}

async function answers(url: string): Promise<boolean> {
  return fetch(url, { method: 'POST', body: '{}' }).then(
    () => true,
    () => false,
  )
}

let json: Ended
let text: Ended
let reports: Report[]
let transitions: TransitionReport[]
let summary: SummaryReport

beforeAll(async () => {
  json = await ended(start(['--json']))
  // Whatever asks for colours elsewhere: a pipe gets none.
  text = await ended(start([], { FORCE_COLOR: '1', CI: 'true' }))
  reports = parseReports(json.stdout)
  transitions = reports.filter((report) => report.type === 'transition')
  const last = reports.at(-1)
  if (last?.type !== 'summary') throw new Error(`no summary: ${json.stderr}`)
  summary = last
}, 240_000)

describe('demo --json', () => {
  it('exits with 0, and says nothing on standard error', () => {
    expect({ code: json.code, stderr: json.stderr }).toEqual({ code: 0, stderr: '' })
  })

  it('ends with the summary, and every relation in it holds', () => {
    expect(Object.keys(summary)).toEqual(SUMMARY_KEYS)
    expect(reports.filter(({ type }) => type === 'summary')).toHaveLength(1)
    expect(summary).toMatchObject({ channelsOpened: 1, conserved: true, succeeded: summary.requests })
    expect(summary.topUps).toBeGreaterThanOrEqual(1)
    expect(summary.voucherReuses).toBeGreaterThan(summary.vouchersSigned)
    expect(summary.voucherReuses + summary.vouchersSigned).toBe(summary.requests)
    expect(summary.paidSends).toBeGreaterThan(summary.requests)
    // Each request once, and once more for a challenge of their own: each top-up and the close, which have no body.
    expect(summary.unpaidSends).toBe(summary.requests + summary.topUps + 1)
    const [deposited, captured, refunded] = [summary.deposited, summary.captured, summary.refunded].map(BigInt)
    expect(deposited).toBe((captured ?? 0n) + (refunded ?? 0n))
    expect(BigInt(summary.payerBefore) - BigInt(summary.payerAfter)).toBe(captured)
    expect(captured).toBeGreaterThan(0n)
    expect(refunded).toBeGreaterThan(0n)
  })

  it('shows every flow from its unpaid request to its end', () => {
    const flows = new Map<number, TransitionReport[]>()
    for (const step of transitions) flows.set(step.flow, [...(flows.get(step.flow) ?? []), step])
    expect([...flows.keys()]).toEqual(Array.from({ length: summary.requests + 1 }, (_, index) => index + 1))
    for (const [flow, steps] of flows) {
      expect(steps[0]).toMatchObject({ state: 'requesting', event: 'START' })
      expect(steps.at(-1)?.state).toBe(flow > summary.requests ? 'closed' : 'succeeded')
    }
  })

  it('reaches open, refresh, top-up and close by what the gateway answers, on one channel', () => {
    const events = (event: string) => transitions.filter((step) => step.event === event)
    expect(events('OPEN_SIGNED')).toHaveLength(1)
    expect(events('VOUCHER_SIGNED')).toHaveLength(summary.vouchersSigned - 1)
    expect(events('TOPPED_UP')).toHaveLength(summary.topUps)
    expect(events('CLOSE_CONFIRMED')).toMatchObject([{ settled: summary.captured, refunded: summary.refunded }])
    const refused = events('mpp_voucher_bucket_refresh_required')
    expect(refused).toHaveLength(summary.paidSends - summary.requests)
    expect(new Set(refused.map(({ httpStatus }) => httpStatus))).toEqual(new Set([402]))
  })

  it('lets 20 requests at once share one top-up and one signature', () => {
    const together = transitions.filter(({ act }) => act === 'concurrent')
    expect(new Set(together.map(({ flow }) => flow)).size).toBe(20)
    expect(together.filter(({ event }) => event === 'mpp_voucher_bucket_refresh_required')).toHaveLength(20)
    expect(together.filter(({ event }) => event === 'TOPPED_UP')).toHaveLength(1)
    expect(together.filter(({ event }) => event === 'VOUCHER_SIGNED')).toHaveLength(1)
    // All of them are on their way before the first of them is through.
    const starts = together.findLastIndex(({ event }) => event === 'START')
    expect(starts).toBeLessThan(together.findIndex(({ state }) => state === 'succeeded'))
  })

  it('prints while it happens', () => {
    const chunkOf = (type: string) => json.chunks.findIndex((chunk) => chunk.includes(`"type":"${type}"`))
    expect(chunkOf('transition')).toBeLessThan(chunkOf('summary'))
    const times = transitions.map(({ at }) => Date.parse(at))
    expect(times).toEqual([...times].sort((a, b) => a - b))
  })
})

describe('demo', () => {
  it('tells the same story to a person, without escape codes and within 100 columns', () => {
    expect({ code: text.code, stderr: text.stderr }).toEqual({ code: 0, stderr: '' })
    expect([...text.stdout].filter((character) => character < ' ' && character !== '\n')).toEqual([])
    expect(text.stdout.split('\n').filter((line) => [...line].length > 100)).toEqual([])
    for (const title of ['1  Open', '2  Reuse', '3  Refresh', '4  Top-up', '5  Twenty at once', '6  Close']) {
      expect(text.stdout).toContain(`\n${title}\n`)
    }
    expect(text.stdout).toContain('✗ 402 mpp_voucher_bucket_refresh_required')
    expect(text.stdout).toContain('20 × succeeded')
    // By what was signed for, not by what the confirmation happens to say.
    expect(text.stdout.match(/topped up by \S+ \S+: the chain shows a deposit of \S+/g)).toEqual([
      'topped up by 2.00 pathUSD: the chain shows a deposit of 4.00',
      'topped up by 2.00 pathUSD: the chain shows a deposit of 6.00',
    ])
  })

  it('has the same figures at each run, in tokens', () => {
    const shown = (amount: string) => (Number(amount) / 1e6).toFixed(2)
    const { requests, paidSends, vouchersSigned, voucherReuses, deposited, captured, refunded } = summary
    const row = /│ total +│ +(\d+) │ +(\d+) │ +(\d+) │ +(\d+) │ +([\d.]+) │ +([\d.]+) │/.exec(text.stdout)
    expect(row?.slice(1)).toEqual([
      ...[requests, paidSends, vouchersSigned, voucherReuses].map(String),
      shown(deposited),
      shown(captured),
    ])
    expect(text.stdout).toContain(`${shown(captured)} pathUSD to the payee, ${shown(refunded)} back to the payer`)
    expect(text.stdout).toContain('✓ The balances on the chain account for every unit.')
  })

  it('prints no key, credential, signature, prompt or completion', () => {
    const key = mnemonicToAccount('test test test test test test test test test test test junk').getHdKey().privateKey
    if (!key) throw new Error('the test account has no key')
    const said = text.stdout + text.stderr + json.stdout + json.stderr
    expect(said).not.toContain(toHex(key).slice(2))
    expect(said).not.toMatch(/Payment ey|Bearer/)
    expect(said).not.toMatch(/[0-9a-f]{130}/i)
    // The first is in every prompt, the others are words that the sandbox's model writes.
    expect(said).not.toMatch(/lighthouse|juniper|yarrow/)
  })
})

describe('demo that cannot go on', () => {
  it('stops gateway and chain on Ctrl-C', async () => {
    const child = start(['--json'])
    const result = ended(child)
    const setting = await new Promise<Report>((resolve, reject) => {
      child.stdout?.once('data', (chunk: string) => resolve(JSON.parse(chunk.split('\n')[0] ?? '')))
      child.once('close', () => reject(new Error('it ended before it began')))
    })
    if (setting.type !== 'setting') throw new Error('the first report is not the setting')
    expect(await answers(setting.rpcUrl)).toBe(true)
    child.kill('SIGINT')
    const { code, stderr, stdout } = await result
    expect({ code, stderr }).toEqual({ code: 130, stderr: '' })
    expect(stdout).not.toContain('"summary"')
    expect(await answers(setting.rpcUrl)).toBe(false)
    expect(await answers(setting.gateway)).toBe(false)
  })

  it('says in one line what to install when the chain is missing', async () => {
    const elsewhere = `data:text/javascript,Object.defineProperty(process,'arch',{value:'mips'})`
    const { code, stdout, stderr } = await ended(start([], {}, [elsewhere]))
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^mpp-flow demo: .*needs the anvil program.*npm install .*@foundry-rs\/anvil.*\n$/)
  })

  it('explains its arguments', async () => {
    const [help, wrong] = await Promise.all([ended(start(['--help'])), ended(start(['--colour']))])
    expect(help).toMatchObject({ code: 0, stderr: '' })
    expect(help.stdout).toContain('--json')
    expect(wrong).toMatchObject({ code: 2, stdout: '' })
    expect(wrong.stderr).toMatch(/^mpp-flow: .*--colour.*\n$/)
  })
})
