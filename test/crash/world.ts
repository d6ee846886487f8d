// A chain with payers for many cases, and the clock that the forced closes among them wait for together.
// Must never give two cases one payer.

import { type LocalAccount, toHex } from 'viem'
import { mnemonicToAccount, privateKeyToAccount } from 'viem/accounts'
import { type LocalChain, startChain } from '../../src/sandbox/index.js'

/** What each payer has, in base units. */
export const FUNDS = 10_000_000_000n

/** A little more than the grace period of TIP-1034. */
const GRACE_SECONDS = 965

export interface Payer {
  readonly account: LocalAccount
  readonly key: string
}

export interface World {
  readonly chain: LocalChain
  payer(): Payer
  stop(): Promise<void>
}

/** @param payers how many cases there will be at most. */
export async function startWorld(payers: number): Promise<World> {
  // The last account pays the fees of the gateways.
  const chain = await startChain({ accounts: payers + 1, balance: FUNDS })
  const branch = mnemonicToAccount('test test test test test test test test test test test junk', {
    path: "m/44'/60'/0'/0",
  }).getHdKey()
  let next = 0
  return {
    chain,
    payer() {
      if (next >= payers) throw new Error('more cases than payers')
      const { privateKey } = branch.deriveChild(next)
      next += 1
      if (privateKey === null) throw new Error('a payer has no key')
      const key = toHex(privateKey)
      return { account: privateKeyToAccount(key), key }
    },
    stop: () => chain.stop(),
  }
}

/** Everybody who waits for a grace period on one chain: its clock is moved once, when all of them are there. */
export interface Grace {
  /** Waits until the grace period is over. */
  over(): Promise<void>
  /** This one will not come. */
  leave(): void
}

export function sharedGrace(chain: LocalChain, expected: number): Grace {
  let missing = expected
  let wake = (): void => undefined
  let fail = (_error: unknown): void => undefined
  const passed = new Promise<void>((resolve, reject) => {
    wake = resolve
    fail = reject
  })
  passed.catch(() => undefined)
  const arrive = (): void => {
    missing -= 1
    if (missing === 0) chain.advanceTime(GRACE_SECONDS).then(wake, fail)
  }
  return {
    over() {
      arrive()
      return passed
    },
    leave: arrive,
  }
}
