// `npm run codes` as a person or a program runs it: a child process, its output and how it ends.
// Must never look at anything but what the process prints.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { MPP_CODES } from '../../machines/index.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  readonly ms: number
}

/** @param before modules loaded before the command. */
function run(args: readonly string[], before: readonly string[] = []): Promise<Ended> {
  const imports = ['tsx', ...before].flatMap((module) => ['--import', module])
  const { NO_COLOR: _no, FORCE_COLOR: _force, ...env } = process.env
  const child = spawn(process.execPath, [...imports, 'src/cli/codes.ts', ...args], { cwd: ROOT, env })
  const started = Date.now()
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ code, stdout, stderr, ms: Date.now() - started }))
  })
}

describe('npm run codes', () => {
  it('--json: a line for every code of the gateway, and 0 because every row holds', async () => {
    const { code, stdout, stderr, ms } = await run(['--json'])
    expect(stderr).toBe('')
    expect(code).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    const rows = lines.map((line): Record<string, unknown> => JSON.parse(line))
    expect(rows.map((row) => row.code)).toEqual([...MPP_CODES])
    for (const row of rows) {
      expect(Object.keys(row)).toEqual(['code', 'cause', 'outcome', 'failureCode', 'states'])
      expect(row.failureCode === null).toBe(row.outcome !== 'failed')
      expect(Array.isArray(row.states) && row.states.at(-1)).toBe(row.outcome)
    }
    const injected = rows.filter(({ cause }) => cause === 'injected').map((row) => row.code)
    expect(injected).toEqual(['mpp_reservation_failed', 'mpp_commit_failed'])
    expect(rows.filter(({ cause }) => cause === 'real')).toHaveLength(14)
    expect(ms).toBeLessThan(60_000)
  }, 90_000)

  it('shows people the cause and the path of the codes that they name, without colours in a pipe', async () => {
    const { code, stdout, stderr } = await run(['mpp_request_quote_invalid', 'mpp_payer_not_allowed'])
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(stdout).toMatch(/✓ {2}mpp_request_quote_invalid +terminal +failed\n +real: a request without max_tokens\n/)
    expect(stdout).toContain('mpp_payer_not_allowed')
    expect(stdout).not.toContain('\u001b')
    expect(stdout).not.toContain('mpp_invalid_challenge')
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100)
  }, 60_000)

  it('exits with 1 and says why when a row does not hold', async () => {
    const { code, stdout, stderr } = await run(['--json', 'mpp_invalid_challenge'], ['./test/codes/lower-a-bound.ts'])
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ code: 'mpp_invalid_challenge', outcome: 'failed' })
    expect(stderr).toContain(
      'codes: mpp_invalid_challenge: ERROR_CODES says that it leads to terminal, the table re-challenge',
    )
    expect(stderr).toContain('codes: mpp_invalid_challenge: ERROR_CODES has a bound of 0, the table one of 2')
    expect(stderr).toContain('it ended as failed, not succeeded')
  }, 60_000)

  it('explains itself, and refuses what it does not know before it starts anything', async () => {
    const help = await run(['--help'])
    expect(help).toMatchObject({ code: 0, stderr: '' })
    expect(help.stdout).toContain('--json')
    expect(await run(['--loud'])).toMatchObject({ code: 2, stdout: '' })
    const unknown = await run(['mpp_nonsense'])
    expect(unknown).toMatchObject({ code: 2, stdout: '' })
    expect(unknown.stderr).toContain('"mpp_nonsense" is none of the codes')
  }, 60_000)
})
