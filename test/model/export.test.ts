// The exported paths: the same plans in each format, and a test file that its reader can run as it is.
// Must never look at the text of a test file alone: it is type-checked and run.

import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { main } from '../../src/cli/program.js'
import { describePlan, type PathPlan, statePaths, TRANSITIONS } from '../../src/testing/index.js'
import { createReaderProject, READER_TIMEOUT_MS, type ReaderProject } from './reader-project.js'

const folder = mkdtempSync(join(tmpdir(), 'mpp-flow-paths-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function exported(...args: readonly string[]): Promise<string> {
  const file = join(folder, 'paths')
  expect(await main(['paths', ...args, '--output', file])).toBe(0)
  return readFileSync(file, 'utf8')
}

const states = statePaths()

describe('npm run paths', { timeout: READER_TIMEOUT_MS }, () => {
  it('writes plans as JSON that together take every transition', async () => {
    const plans: readonly PathPlan[] = JSON.parse(await exported('--format', 'json'))
    const taken = new Set(plans.flatMap(({ transitions }) => transitions))
    expect(TRANSITIONS.map(({ id }) => id).filter((id) => !taken.has(id))).toEqual([])
    for (const { name, setting, steps, ends } of plans) {
      expect(name.startsWith(`${setting.name}: `)).toBe(true)
      expect(steps[0]?.state).toBe('requesting')
      expect(steps.at(-1)?.reaches.at(-1)?.state).toBe(ends?.state)
    }
  })

  it('with --states writes each shortest path once', async () => {
    expect(JSON.parse(await exported('--states'))).toEqual(states)
  })

  it('writes them to standard output where no file is named', async () => {
    const args = ['--import', 'tsx', 'src/cli/paths.ts', '--states', '--format', 'markdown']
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args)
    expect(stderr).toBe('')
    expect(stdout).toBe(await exported('--states', '--format', 'markdown'))
    // Every step of every path, under a heading for its setting.
    for (const line of states.flatMap(describePlan)) expect(stdout).toContain(`. ${line}\n`)
    expect(stdout.match(/^### /gm)).toHaveLength(states.length)
    expect(stdout.match(/^## .*/gm)).toEqual([...new Set(states.map(({ setting }) => `## ${setting.name}`))])
  })

  it.each([
    ['an unknown format', ['--format', 'yaml']],
    ['an unknown option', ['--all']],
    ['a folder that is not there', ['--states', '--output', join(folder, 'nowhere', 'paths.json')]],
  ])('refuses %s', async (_, args) => {
    expect(await main(['paths', ...args])).toBe(2)
  })
})

describe('the test file', { timeout: READER_TIMEOUT_MS }, () => {
  let project: ReaderProject
  beforeAll(async () => {
    project = createReaderProject()
    project.write('paths.test.ts', await exported('--states', '--format', 'vitest'))
  })
  afterAll(() => project.remove())

  it('type-checks under strict settings', async () => {
    expect(await project.typeCheck()).toBe('')
  })

  it('passes on the sandbox, with a test for each path', async () => {
    const { passed, failed } = await project.test()
    expect(failed).toEqual([])
    expect(passed).toHaveLength(states.length)
    expect(new Set(passed).size).toBe(states.length)
  })

  it('fails where a plan says otherwise than the machine', async () => {
    const told = await exported('--states', '--format', 'vitest')
    const wrong = told.replace('"reaches":[{"state":"succeeded"', '"reaches":[{"state":"failed"')
    expect(wrong).not.toBe(told)
    project.write('paths.test.ts', wrong)
    const { failed } = await project.test({}, 'nothing special')
    expect(failed).toHaveLength(1)
    expect(failed[0]).toContain("{ step: 5, state: 'succeeded'")
  })
})
