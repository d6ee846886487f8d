// The private keys of the local chain's accounts, for programs that take a key as text.
// Must never be used on a chain with real money: everybody has them.

import { toHex } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'

/** The key of the account at this place in `Sandbox.accounts`, which are those of anvil's public mnemonic. */
export function payerKey(index: number): `0x${string}` {
  const { privateKey } = mnemonicToAccount('test test test test test test test test test test test junk', {
    addressIndex: index,
  }).getHdKey()
  if (privateKey === null) throw new Error(`account ${index} has no key`)
  return toHex(privateKey)
}
