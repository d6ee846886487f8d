import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { createMppClient, type MppClientOptions, memoryStore } from '../../src/index.js'
import { chat, type Stage, setStage } from './stage.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.stop())

/** What a client says that opens two channels; the gateway is reached under the name of `host`. */
async function saidBy(host: string, options: Partial<MppClientOptions>): Promise<string[]> {
  const said: string[] = []
  const listening = vi.spyOn(console, 'warn').mockImplementation((text: string) => void said.push(text))
  try {
    const gateways = await Promise.all([stage.gateway(), stage.gateway()])
    const mpp = createMppClient({
      account: stage.payer(),
      rpcUrl: stage.chain.rpcUrl,
      ...options,
      fetch: (input, init) =>
        fetch(
          new Request(input, init).url.replace(/^https:\/\/g(\d)\.[^/]+/, (_, at) => gateways[Number(at)]?.url ?? ''),
          init,
        ),
    })
    for (const [at, gateway] of gateways.entries()) {
      const url = host === '' ? gateway.chat : `https://g${at}.${host}/v1/mpp/chat/completions`
      const outcome = await mpp.pay(url, chat(500))
      expect(outcome.status).toBe('succeeded')
    }
    return said
  } finally {
    listening.mockRestore()
  }
}

it('a client without a store says once that its channels are forgotten, and what to do', async () => {
  const said = await saidBy('example', {})
  expect(said).toEqual([expect.stringMatching(/in memory.*sessions\.recover\(\).*fileStore.*memoryStore\(\)/s)])
})

it('says nothing of a gateway on this machine, or where the store was chosen', async () => {
  expect(await saidBy('', {})).toEqual([])
  expect(await saidBy('example', { store: memoryStore() })).toEqual([])
})
