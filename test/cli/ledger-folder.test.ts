// The folder of the ledger as the program finds it: one that cannot be used is refused before anything is sent.
// Must never look at anything but what the program prints, how it ends, and what the gateway saw of it.

import { chmod, chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/cli/exit.js'
import type { WatchedGateway } from '../client/stage.js'
import { chatBody, type FilePayer, type Ground, setGround } from './ground.js'
import { runAll } from './run-program.js'

let ground: Ground
let gateway: WatchedGateway
let payer: FilePayer
let env: Record<string, string>

beforeAll(async () => {
  ground = await setGround()
  gateway = await ground.gateway()
  payer = await ground.payer()
  env = { MPP_FLOW_RPC_URL: ground.stage.chain.rpcUrl, MPP_FLOW_KEY: payer.key }
}, 60_000)

afterAll(() => ground?.stop())

const CHANNEL = `0x${'12'.repeat(32)}`

/** The folder of a payer who has paid once, and the files in it. */
async function usedFolder(requests = 1): Promise<string> {
  const folder = ground.store()
  const ask = ['request', '-s', '--store', folder, '--json', chatBody(), gateway.chat]
  const calls = await runAll(
    Array.from({ length: requests }, () => ask),
    env,
  )
  expect(calls.map(({ code }) => code)).toEqual(calls.map(() => EXIT.ok))
  return folder
}

/** For root no permission counts: then the program is run by somebody else, whom the folder is given to. */
async function unprivileged(folder: string): Promise<Record<string, string>> {
  if (process.getuid?.() !== 0) return {}
  await chmod(ground.folder, 0o711)
  for (const path of [folder, ...(await readdir(folder)).map((name) => join(folder, name))])
    await chown(path, NOBODY, NOBODY)
  return { CALLS_UID: String(NOBODY) }
}

const NOBODY = 65_534

describe('a folder that cannot be used', () => {
  it('is refused with 2 and its mending by every command, before anything is sent', async () => {
    const open = ground.store()
    await mkdir(open)
    await chmod(open, 0o755)
    const file = ground.store()
    await writeFile(file, '')
    const commands = [
      ['request', '--json', chatBody(), gateway.chat],
      ['request', '--dry-run', '--json', chatBody(), gateway.chat],
      ['sessions', 'list'],
      ['sessions', 'show', CHANNEL],
      ['sessions', 'close', CHANNEL],
      ['sessions', 'force-close', CHANNEL],
      ['sessions', 'recover'],
    ]
    const seen = gateway.seen.length
    for (const [folder, mending] of [
      [open, 'chmod 700'],
      [file, 'there is a file of this name'],
    ] as const) {
      const calls = await runAll(commands, { ...env, MPP_FLOW_STORE: folder })
      for (const [index, { code, stdout, stderr }] of calls.entries()) {
        expect({ index, code, stdout }).toEqual({ index, code: EXIT.usage, stdout: '' })
        expect(stderr).toContain(folder)
        expect(stderr).toContain(mending)
        expect(stderr.trimEnd().split('\n')).toHaveLength(1)
      }
      const [json] = await runAll([['--json', ...(commands[0] ?? [])]], { ...env, MPP_FLOW_STORE: folder })
      expect(JSON.parse(json?.stdout ?? '')).toMatchObject({ exitCode: 2, error: { code: 'store_unavailable' } })
    }
    expect(gateway.seen.length).toBe(seen)
  }, 120_000)

  it('because it cannot be written is refused by what signs, and still listed', async () => {
    const folder = await usedFolder()
    const seen = gateway.seen.length
    const lines = [
      ['request', '--store', folder, '--json', chatBody(), gateway.chat],
      ['sessions', 'list', '--store', folder],
    ]
    await chmod(folder, 0o500)
    const [request, list] = await runAll(lines, { ...env, ...(await unprivileged(folder)) })
    await chmod(folder, 0o700)
    expect(request).toMatchObject({ code: EXIT.usage, stdout: '' })
    expect(request?.stderr).toContain(`${folder} cannot be written (EACCES): give the user of this process permission`)
    expect(list).toMatchObject({ code: EXIT.ok, stderr: '' })
    expect(list?.stdout).toContain('open')
    expect(gateway.seen.length).toBe(seen)
    expect((await readdir(folder)).filter((name) => name.endsWith('.draft'))).toEqual([])
  }, 120_000)
})

describe('a record that cannot be read', () => {
  it('is never told as "No channels": what can be read is listed, then the error', async () => {
    const only = await usedFolder()
    await spoil(only, 1)
    const two = await usedFolder()
    const other = await ground.gateway()
    const [paid] = await runAll([['request', '-s', '--store', two, '--json', chatBody(), other.chat]], env)
    expect(paid?.code).toBe(EXIT.ok)
    await spoil(two, 1)
    const [none, one, show] = await runAll(
      [
        ['sessions', 'list', '--store', only],
        ['sessions', 'list', '--store', two],
        ['request', '-s', '--store', only, '--json', chatBody(), gateway.chat],
      ],
      env,
    )
    expect(none).toMatchObject({ code: EXIT.failed, stdout: '' })
    expect(none?.stderr).not.toContain('No channels')
    expect(none?.stderr).toContain('cannot be read')
    expect(one?.code).toBe(EXIT.failed)
    expect(one?.stdout).toMatch(/0x[0-9a-f]{10}… +│? *open/)
    expect(one?.stderr).toContain('cannot be read')
    expect(show).toMatchObject({ code: EXIT.failed, stdout: '' })
    expect(show?.stderr).toContain('mpp-flow request: store_damaged: ')
  }, 120_000)
})

/** Cuts off the first files of a folder. */
async function spoil(folder: string, count: number): Promise<void> {
  for (const name of (await readdir(folder)).sort().slice(0, count)) {
    const path = join(folder, name)
    await writeFile(path, (await readFile(path, 'utf8')).slice(0, 100))
  }
}
