// Where the examples pay: the gateway that GATEWAY_URL names, with the key in PAYER_KEY, or a sandbox of their own.
// Must never print a key, nor take one as an argument: arguments are seen by everybody on the machine.

import { isHex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { MppClient, MppClientOptions } from '../../src/index.js'
import { startSandbox } from '../../src/sandbox/index.js'

export interface ExampleGateway {
  /** Without a trailing slash. */
  readonly url: string
  /** Who pays, and the chain: for `createMppClient`. */
  readonly payer: Pick<MppClientOptions, 'account' | 'rpcUrl'>
  /** Closes the client's channels, which refunds what is left in them, and stops the sandbox. */
  leave(mpp: MppClient): Promise<void>
}

export async function exampleGateway(): Promise<ExampleGateway> {
  const { GATEWAY_URL, RPC_URL, PAYER_KEY } = process.env
  if (GATEWAY_URL === undefined) {
    const sandbox = await startSandbox()
    const [account] = sandbox.accounts
    if (account === undefined) throw new Error('the sandbox has no accounts')
    return given(sandbox.url, { account, rpcUrl: sandbox.rpcUrl }, sandbox.stop)
  }
  if (!isHex(PAYER_KEY)) throw new Error('GATEWAY_URL is set: put the private key of the payer into PAYER_KEY, as 0x…')
  const account = privateKeyToAccount(PAYER_KEY)
  const payer = RPC_URL === undefined ? { account } : { account, rpcUrl: RPC_URL }
  return given(new URL(GATEWAY_URL).origin, payer, async () => undefined)
}

function given(url: string, payer: ExampleGateway['payer'], stop: () => Promise<void>): ExampleGateway {
  return {
    url,
    payer,
    async leave(mpp) {
      for (const { channelId, status } of await mpp.sessions.list()) {
        if (status !== 'open') continue
        const close = await mpp.sessions.close(channelId)
        const how =
          close.status === 'closed' ? `refunded ${close.settlement?.refunded ?? 'unknown'}` : close.failure.code
        console.error(`channel ${channelId}: ${how}`)
      }
      await stop()
    },
  }
}
