// The two codes of a close that does not happen: no signer, and a close transaction that reverts on the chain.
// Must never be used on a chain with real money: an account is impersonated here.

import { createTestClient, createWalletClient, custom, encodeFunctionData, http } from 'viem'
import { tempoModerato } from 'viem/chains'
import { Abis } from 'viem/tempo'
import type { MppCode } from '../../../machines/index.js'
import { CHANNEL_RESERVE, parseCredential } from '../../protocol/index.js'
import { chat } from './requests.js'
import type { CodeScenario, Expectation, Stage } from './scenario.js'

const AGAIN = ['closing.backingOff', 'closing.sendingClose']

const boundedThenFailed = (code: MppCode): Expectation => ({
  refusedIn: 'closing.sendingClose',
  refusals: 4,
  through: [...AGAIN, ...AGAIN, ...AGAIN, 'failed'],
  sends: ['unpaid', 'close', 'close', 'close', 'close'],
  outcome: 'failed',
  failureCode: code,
})

/**
 * The payee settles the voucher in hand by itself, all of it: a close that captures only what was spent is less than
 * what is settled, and the reserve reverts it (TIP-1034 `CaptureAmountInvalid`).
 */
async function settleWholeVoucher({ gateway, wire }: Stage): Promise<void> {
  const credential = wire.exchanges
    .map(({ forwarded }) => parseCredential(forwarded.headers.get('authorization')))
    .findLast(({ ok }) => ok)
  if (credential?.ok !== true || !('signature' in credential.value.payload)) throw new Error('there is no voucher')
  const { descriptor, cumulativeAmount, signature } = credential.value.payload
  const node = createTestClient({ mode: 'anvil', chain: tempoModerato, transport: custom(gateway.admin) })
  const { payee } = gateway
  await node.impersonateAccount({ address: payee })
  try {
    const data = encodeFunctionData({
      abi: Abis.tip20ChannelReserve,
      functionName: 'settle',
      args: [descriptor, BigInt(cumulativeAmount), signature],
    })
    const transaction = { from: payee, to: CHANNEL_RESERVE, data }
    await createWalletClient({ chain: tempoModerato, transport: http(gateway.rpcUrl) }).request({
      method: 'eth_sendTransaction',
      params: [transaction],
    })
  } finally {
    await node.stopImpersonatingAccount({ address: payee })
  }
}

/** Scenarios of the codes of a close. */
export const CLOSE_SCENARIOS: readonly CodeScenario[] = [
  {
    code: 'mpp_session_close_unavailable',
    cause: 'real',
    how: 'the gateway has no signer for close transactions',
    row: { leadsTo: 'retry-close', bound: 3 },
    expected: boundedThenFailed('mpp_session_close_unavailable'),
    gateway: () => ({ closeSigner: false }),
    async play(stage) {
      await stage.pay(chat(10))
      return stage.close()
    },
  },
  {
    code: 'mpp_session_close_failed',
    cause: 'real',
    how: 'the payee settled the whole voucher behind the gateway’s back, so the reserve reverts the close',
    row: { leadsTo: 'retry-close', bound: 3 },
    expected: boundedThenFailed('mpp_session_close_failed'),
    async play(stage) {
      await stage.pay(chat(10))
      await settleWholeVoucher(stage)
      return stage.close()
    },
  },
]
