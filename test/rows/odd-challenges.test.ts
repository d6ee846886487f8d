// Challenges that are legal, or common, and not what Ando sends: other spellings, other bodies, a wait, no chain.
// Must never take an answer for right by its outcome alone: what was sent, and when, is looked at.
import { createClient, custom, http } from 'viem'
import { tempoModerato } from 'viem/chains'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { memoryStore } from '../../src/sessions/index.js'
import { failureOf, type Stage, setStage, states } from '../client/stage.js'
import { expectIdenticalRequests, kinds, prepareGrounds, REUSE, request } from './row-stage.js'
import { status } from './scripted-gateway.js'

let stage: Stage
beforeAll(async () => {
  stage = await setStage(60)
})
const grounds = prepareGrounds(() => stage)
afterAll(async () => {
  await grounds.stop()
  await stage?.stop()
})
const { ground } = grounds

describe.concurrent('a request in another spelling of base64 is read, and echoed byte for byte', () => {
  const bytesOf = (text: string) => Buffer.from(text, 'base64url')
  /** Bytes that need padding, and characters that differ between the alphabets. */
  const noted = (request: Record<string, unknown>) => {
    for (request.note = '???>>>~~~'; JSON.stringify(request).length % 3 !== 1; ) request.note += ' '
  }
  const SPELLINGS = [
    [
      'base64url with padding',
      (text: string) => bytesOf(text).toString('base64').replaceAll('+', '-').replaceAll('/', '_'),
    ],
    ['standard base64', (text: string) => bytesOf(text).toString('base64')],
    ['standard base64 without padding', (text: string) => bytesOf(text).toString('base64').replaceAll('=', '')],
  ] as const

  it.each(SPELLINGS)('%s', async (_, spelling) => {
    const here = await ground()
    const handedOut: string[] = []
    here.scripted.alter(noted)
    here.scripted.respell((text) => {
      handedOut.push(spelling(text))
      return spelling(text)
    })
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(outcome).toMatchObject({ status: 'succeeded', response: { status: 200 } })
    expect(states(outcome)).toEqual(REUSE)
    expect(handedOut[0]).toMatch(/[+/=]/)
    expect(here.sends().map(({ credential }) => credential?.challenge.request)).toEqual([undefined, handedOut[0]])
    expectIdenticalRequests(here.sends())
  })

  it('one that mixes the alphabets is refused, and nothing is signed', async () => {
    const here = await ground()
    here.scripted.alter(noted)
    here.scripted.respell((text) => `${text}+_AA`)
    const outcome = await here.mpp.pay(here.scripted.chat, request())
    expect(failureOf(outcome).code).toBe('challenge_rejected')
    expect(kinds(here.sends())).toEqual(['unpaid'])
    expect(here.signed()).toBe(0)
  })
})

describe.concurrent('a challenge without a chain id is for the main network', () => {
  it('is held against allowedChains like any other', async () => {
    const here = await ground({ policy: { allowedChains: [42431] } })
    here.scripted.alter((_, details) => void delete details.chainId)
    const failure = failureOf(await here.mpp.pay(here.scripted.chat, request()))
    expect(failure).toMatchObject({ code: 'policy_denied', detail: 'chain 4217 is not in allowedChains' })
    expect(here.signed()).toBe(0)
  })

  it('is paid for on chain 4217', async () => {
    const here = await ground({ spend: 0 })
    const asked: number[] = []
    // The sandbox's chain, under the main network's id.
    const local = createClient({ chain: tempoModerato, transport: http(stage.chain.rpcUrl) })
    const mainNetwork = createClient({
      chain: { ...tempoModerato, id: 4217 },
      transport: custom({
        request: ({ method, params }) =>
          method === 'eth_chainId' ? Promise.resolve('0x1079') : local.request({ method, params }),
      }),
    })
    const mpp = stage.client(here.account, {
      store: memoryStore(),
      getClient: ({ chainId }) => {
        asked.push(chainId)
        return mainNetwork
      },
    })
    here.scripted.alter((_, details) => void delete details.chainId)
    here.scripted.next('open', status(400))
    await mpp.pay(here.scripted.chat, request())
    expect(kinds(here.sends())).toEqual(['unpaid', 'open'])
    const source = `did:pkh:eip155:4217:${here.account.address}`
    expect(here.sends()[1]?.credential?.source.toLowerCase()).toBe(source.toLowerCase())
    expect(asked).toEqual([4217])
  })
})
