// The life of the local chain's process: quick to start, gone when it is stopped and when its owner dies.
// Must never end a process that it did not start.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { AnvilMissing, findAnvil } from '../../src/sandbox/chain/anvil-binary.js'
import { startAnvil } from '../../src/sandbox/chain/anvil-process.js'
import { startChain } from '../../src/sandbox/chain/start-chain.js'

const TEMPO = ['--network', 'tempo', '--hardfork', 't4']

async function chainId(url: string): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] }),
  })
  return ((await response.json()) as { result: string }).result
}

/** Waits until nothing listens there any more. */
async function gone(url: string): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      await chainId(url)
    } catch {
      return true
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return false
}

describe('starting and stopping', () => {
  test('starts in little time, several side by side, and stops', async () => {
    const started = performance.now()
    const chain = await startChain()
    expect(performance.now() - started).toBeLessThan(2_500)
    const second = await startChain({ accounts: 1 })
    expect(second.rpcUrl).not.toBe(chain.rpcUrl)
    expect(second.accounts).toHaveLength(1)
    expect(await chainId(chain.rpcUrl)).toBe('0xa5bf')

    await chain.stop()
    await chain.stop()
    expect(await gone(chain.rpcUrl)).toBe(true)
    expect(await chainId(second.rpcUrl)).toBe('0xa5bf')
    await second.stop()
  })

  test('leaves the host program’s signal handlers alone', async () => {
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'exit', 'uncaughtException']
    const before = signals.map((signal) => process.listenerCount(signal))
    const chain = await startChain({ accounts: 1 })
    expect(signals.map((signal) => process.listenerCount(signal))).toEqual(before)
    await chain.stop()
    expect(signals.map((signal) => process.listenerCount(signal))).toEqual(before)
  })

  test('refuses options that make no sense', async () => {
    await expect(startChain({ accounts: 0 })).rejects.toThrow(TypeError)
    await expect(startChain({ accounts: 1.5 })).rejects.toThrow(TypeError)
    await expect(startChain({ balance: -1n })).rejects.toThrow(TypeError)
    await expect(startChain({ balance: 2n ** 96n })).rejects.toThrow(TypeError)
  })
})

describe('when something is wrong', () => {
  test('a missing program is one line that says what to install', () => {
    const nowhere = ['file:///nowhere/at/all.js']
    expect(() => findAnvil(process.platform, process.arch, nowhere)).toThrow(AnvilMissing)
    expect(() => findAnvil('aix', 'ppc64')).toThrow(/^[^\n]*npm install --save-dev @foundry-rs\/anvil@1\.7\.1$/)
  })

  test('anvil’s own complaint is passed on when it does not start', async () => {
    await expect(startAnvil(['--hardfork', 'no-such-fork'])).rejects.toThrow(/did not start: .+/)
  })

  test('requests are answered with an error when the chain is gone', async () => {
    const { startRpcShim } = await import('../../src/sandbox/chain/rpc-shim.js')
    const anvil = await startAnvil(TEMPO)
    const shim = await startRpcShim(anvil.url, { free: true })
    await anvil.stop()
    const response = await fetch(shim.url, {
      method: 'POST',
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] }),
    })
    expect(response.status).toBe(502)
    expect(await response.json()).toMatchObject({ error: { code: -32603 } })
    await shim.stop()
  })
})

describe('when the owner dies', () => {
  test.each([
    ['is killed', (child: ChildProcess) => child.kill('SIGKILL')],
    ['is told to end', (child: ChildProcess) => child.kill('SIGTERM')],
    ['is interrupted', (child: ChildProcess) => child.kill('SIGINT')],
    ['crashes', (child: ChildProcess) => child.stdin?.write('crash\n')],
    ['exits', (child: ChildProcess) => child.stdin?.write('exit\n')],
  ])('the chain dies too: the owner %s', async (_how, end) => {
    const folder = mkdtempSync(join(tmpdir(), 'mpp-flow-chain-'))
    try {
      const module = new URL('../../src/sandbox/chain/anvil-process.ts', import.meta.url).href
      const script = join(folder, 'owner.mts')
      writeFileSync(
        script,
        `import { startAnvil } from ${JSON.stringify(module)}
         process.stdin.on('data', (text) => {
           if (String(text).startsWith('exit')) process.exit(0)
           setTimeout(() => { throw new Error('a crash that was asked for') })
         })
         const anvil = await startAnvil(${JSON.stringify(TEMPO)})
         console.log(anvil.url)`,
      )
      // Loaded into the process itself, so that the signal reaches the owner and not a wrapper of it.
      const loader = import.meta.resolve('tsx')
      const owner = spawn(process.execPath, ['--import', loader, script], {
        stdio: ['pipe', 'pipe', 'ignore'],
        cwd: fileURLToPath(new URL('../..', import.meta.url)),
      })
      const [line] = await once(owner.stdout, 'data')
      const url = String(line).trim()
      expect(await chainId(url)).toMatch(/^0x/)
      const exited = once(owner, 'exit')
      end(owner)
      await exited
      expect(await gone(url)).toBe(true)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
