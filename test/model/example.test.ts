// The example of docs/model-based-testing.md as its reader runs it: on the sandbox, and on a gateway known by its addresses.
// Must never run a copy: the page is held against the file that is run.

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Sandbox, startSandbox } from '../../src/sandbox/index.js'
import { statePaths } from '../../src/testing/index.js'
import { payerKey } from '../ecosystem/payer-key.js'
import { asPrinted, createReaderProject, READER_TIMEOUT_MS, type ReaderProject } from './reader-project.js'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const example = asPrinted(read('docs/examples/test-your-gateway.test.ts'))

it('the page shows the example that is run', () => {
  const shown = /```ts\n([\s\S]*?)```/.exec(read('docs/model-based-testing.md'))?.[1]
  expect(shown).toBe(example)
  expect(example.trim().split('\n').length).toBeLessThanOrEqual(45)
})

describe('the example', { timeout: READER_TIMEOUT_MS }, () => {
  let project: ReaderProject
  let sandbox: Sandbox
  beforeAll(async () => {
    project = createReaderProject()
    project.write('gateway.test.ts', example)
    sandbox = await startSandbox()
  })
  afterAll(async () => {
    await sandbox.stop()
    project.remove()
  })
  const paths = statePaths()

  it('passes on the sandbox', async () => {
    const { passed, failed } = await project.test()
    expect(failed).toEqual([])
    expect(passed).toEqual(paths.map(({ name }) => name))
  })

  const given = () => ({
    GATEWAY_URL: sandbox.url,
    RPC_URL: sandbox.rpcUrl,
    PAYER_KEY: payerKey(0),
    MODEL: 'sandbox-small',
  })

  it('passes on a gateway that it knows the address of, which is paid for real', async () => {
    const { passed, failed } = await project.test(given())
    expect(failed).toEqual([])
    expect(passed).toEqual(paths.map(({ name }) => name))
    const { counts, channels } = sandbox.accounting()
    expect(counts.paidSends).toBeGreaterThan(paths.length / 2)
    // A payer for each path, so nobody has two channels.
    expect(new Set(channels.map(({ payer }) => payer)).size).toBe(channels.length)
  })

  it('fails on a gateway that refuses what it should carry out, and says at which step', async () => {
    sandbox.configure({ pricePerToken: '100' })
    const { passed, failed } = await project.test(given(), 'nothing special|ANSWER_RECEIVED')
    expect(passed).toEqual(['plain: ANSWER_RECEIVED → succeeded'])
    expect(failed.find((said) => said.startsWith('plain: nothing special'))).toContain("{ step: 4, state: 'paying'")
  })
})
