// The examples in the docs run as printed.
// Must never run a copy: README's code is held against the file that is run.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Sandbox, startSandbox } from '../../src/sandbox/index.js'
import { payerKey } from '../ecosystem/payer-key.js'

const code = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

/** How an example imports the package, and how its reader does. */
const asPrinted = (source: string): string =>
  source
    .replaceAll("'../../src/index.js'", "'mpp-flow'")
    .replaceAll("'../../src/sandbox/index.js'", "'mpp-flow/sandbox'")
    .replaceAll("'../../machines/index.js'", "'mpp-flow/machines'")

test('README shows the example that is run', () => {
  const shown = /```ts\n([\s\S]*?)```/.exec(code('README.md'))?.[1]
  expect(shown).toBe(asPrinted(code('docs/examples/embed.ts').replace(/^(\/\/.*\n)+\n/, '')))
})

test('docs/embedding.md shows lines of the examples that are run', () => {
  const page = code('docs/embedding.md')
  const blocks = [...page.matchAll(/```ts\n([\s\S]*?)```/g)]
  expect(blocks.length).toBeGreaterThanOrEqual(4)
  for (const block of blocks) {
    // The example that the text named last before the block.
    const file = [...page.slice(0, block.index).matchAll(/\(examples\/([a-z-]+\.ts)\)/g)].at(-1)?.[1]
    expect(asPrinted(code(`docs/examples/${file}`))).toContain(block[1])
  }
})

test('the embedding example is about twenty lines and pays', async () => {
  const lines = code('docs/examples/embed.ts').split('\n').slice(3)
  expect(lines.length).toBeLessThanOrEqual(28)
  const { stdout } = await run('embed', {})
  // An answer in words, and what it cost.
  expect(stdout).toMatch(/^\w.*\nit cost 0\.\d+ pathUSD\n$/)
})

describe('against a gateway that runs already', () => {
  let sandbox: Sandbox
  /** How an example finds the gateway, with a payer of its own. */
  const given = (payer: number) => ({
    GATEWAY_URL: sandbox.url,
    RPC_URL: sandbox.rpcUrl,
    PAYER_KEY: payerKey(payer),
  })
  /** The one channel that this payer used. */
  const channelOf = (payer: number) => {
    const { address } = sandbox.accounts[payer] ?? { address: '' }
    const all = sandbox.accounting().channels.filter((channel) => channel.payer.toLowerCase() === address.toLowerCase())
    expect(all).toHaveLength(1)
    return all[0]
  }

  beforeAll(async () => {
    sandbox = await startSandbox()
  })
  afterAll(() => sandbox.stop())

  test('openai.ts chats, and gets its deposit back', async () => {
    const { stdout } = await run('openai', given(0))
    expect(stdout).toMatch(/^[a-z]+( [a-z]+)+\n$/)
    expect(channelOf(0)?.status).toBe('closed')
  })

  test('ai-sdk.ts chats, and gets its deposit back', async () => {
    const { stdout } = await run('ai-sdk', given(1))
    expect(stdout).toMatch(/^[a-z]+( [a-z]+)+ \(\d+ tokens\)\n$/)
    expect(channelOf(1)?.status).toBe('closed')
  })

  test('agent-loop.ts asks once before funds move, and shows the states of its three turns', async () => {
    const { stdout, stderr } = await run('agent-loop', { ...given(2), APPROVE: 'yes' })
    expect(stdout.match(/\[spent so far: \d+\]/g)).toHaveLength(3)
    expect(stderr.match(/open: move 5 into a channel/g)).toHaveLength(1)
    expect(stderr.match(/^ {2}succeeded$/gm)).toHaveLength(3)
    expect(channelOf(2)?.status).toBe('closed')
  })

  test('agent-loop.ts takes silence for a no', async () => {
    const before = sandbox.accounting().counts.paidSends
    await expect(run('agent-loop', { ...given(3) })).rejects.toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('policy_denied'),
    })
    expect(sandbox.accounting().counts.paidSends).toBe(before)
  })

  test('express-proxy.ts pays for callers with its token, for nobody else, and closes when it is stopped', async () => {
    const token = 'a token of the test, long enough'
    const proxy = example('express-proxy', { ...given(4), PROXY_TOKEN: token })
    try {
      const url = await firstUrl(proxy)
      const ask = (authorization: string): Promise<Response> =>
        fetch(url, {
          method: 'POST',
          headers: { authorization, 'content-type': 'application/json' },
          body: JSON.stringify({ model: 'sandbox-small', max_tokens: 16, messages: [{ role: 'user', content: 'Hi' }] }),
        })
      expect((await ask('Bearer another token')).status).toBe(401)
      expect(sandbox.accounting().channels.every(({ status }) => status === 'closed')).toBe(true)
      const answers = await Promise.all([ask(`Bearer ${token}`), ask(`Bearer ${token}`)])
      for (const answer of answers) {
        expect(answer.status).toBe(200)
        expect(await answer.json()).toMatchObject({ object: 'chat.completion' })
      }
      sandbox.inject('mpp_commit_failed')
      const refused = await ask(`Bearer ${token}`)
      expect([refused.status, refused.headers.get('x-should-retry')]).toEqual([402, 'false'])
      expect(await refused.json()).toMatchObject({ error: { code: 'mpp_commit_failed' } })
    } finally {
      proxy.kill('SIGTERM')
    }
    const [exitCode] = await once(proxy, 'exit')
    expect(exitCode).toBe(0)
    expect(channelOf(4)?.status).toBe('closed')
  })

  test('express-proxy.ts does not start without a token', async () => {
    await expect(run('express-proxy', given(5))).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('PROXY_TOKEN'),
    })
  })
})

const program = (name: string): string[] => ['--import', 'tsx', `docs/examples/${name}.ts`]

function run(name: string, env: Record<string, string>): Promise<{ stdout: string; stderr: string }> {
  const running = promisify(execFile)(process.execPath, program(name), { env: { ...process.env, ...env } })
  running.child.stdin?.end()
  return running
}

function example(name: string, env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, program(name), {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** The first URL that a program prints. @throws Error when it ends without one. */
async function firstUrl({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) throw new Error('the example has no output')
  for await (const line of createInterface({ input: stdout })) {
    const url = /http:\S+/.exec(line)?.[0]
    if (url !== undefined) return url
  }
  throw new Error('the example ended without naming a URL')
}
