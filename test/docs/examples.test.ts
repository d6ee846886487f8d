// The examples in the docs run as printed.
// Must never run a copy: README's code is held against the file that is run.

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const code = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

test('README shows the example that is run', () => {
  const shown = /```ts\n([\s\S]*?)```/.exec(code('README.md'))?.[1]
  const run = code('docs/examples/embed.ts')
    .replace(/^(\/\/.*\n)+\n/, '')
    .replace("'../../src/index.js'", "'mpp-flow'")
    .replace("'../../src/sandbox/index.js'", "'mpp-flow/sandbox'")
  expect(shown).toBe(run)
})

test('the embedding example is about twenty lines and pays', async () => {
  const lines = code('docs/examples/embed.ts').split('\n').slice(3)
  expect(lines.length).toBeLessThanOrEqual(24)
  const { stdout } = await promisify(execFile)('npx', ['tsx', 'docs/examples/embed.ts'])
  expect(stdout).toMatch(/^200 /)
  expect(stdout).toContain('chat.completion')
})
