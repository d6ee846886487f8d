// Runs the generated paths against your gateway, or against a sandbox while GATEWAY_URL is not set.
// Must never be given a key that holds real money: one path sends away all that its payer has.

import { createClient, http, isHex, type LocalAccount } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { tempoModerato } from 'viem/chains'
import { Actions } from 'viem/tempo'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PATH_USD } from '../../src/index.js'
import * as testing from '../../src/testing/index.js'

const { GATEWAY_URL, RPC_URL = tempoModerato.rpcUrls.default.http[0], PAYER_KEY, MODEL, PATHS } = process.env
const chain = createClient({ chain: tempoModerato, transport: http(RPC_URL) })

/** A new account for each path, with 25 pathUSD of the account that PAYER_KEY belongs to. */
async function payer(): Promise<LocalAccount> {
  if (!isHex(PAYER_KEY)) throw new Error('put the private key of a funded account into PAYER_KEY, as 0x…')
  const account = privateKeyToAccount(PAYER_KEY)
  const created = privateKeyToAccount(generatePrivateKey())
  const transfer = { to: created.address, token: PATH_USD, amount: 25_000_000n } as const
  await Actions.token.transferSync(chain, { account, ...transfer, nonceKey: BigInt(created.address), nonce: 0 })
  return created
}

function yourGateway(origin: string): testing.PathTarget {
  const body = JSON.stringify({ model: MODEL, max_tokens: 64, messages: [{ role: 'user', content: 'Say hello.' }] })
  const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
  return testing.gatewayTarget({ url: `${origin}/v1/mpp/chat/completions`, rpcUrl: RPC_URL, payer, request })
}

let target: testing.PathTarget
beforeAll(async () => {
  target = GATEWAY_URL === undefined ? await testing.sandboxTarget() : yourGateway(GATEWAY_URL)
}, 60_000)
afterAll(() => target?.stop())

const all = PATHS === 'all' ? testing.transitionPaths() : testing.statePaths()
// Only the sandbox can move the clock of its chain.
const paths = all.filter((path) => GATEWAY_URL === undefined || !testing.pathNeeds(path).movesClock)
describe.concurrent('a flow goes the way of the model', { timeout: 120_000 }, () => {
  it.each(paths.map((path) => [path.name, path] as const))('%s', async (_, path) => {
    const { divergence } = await testing.runPath(path, target)
    expect(divergence).toBeNull()
  })
})
