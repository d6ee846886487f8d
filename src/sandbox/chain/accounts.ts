// The test accounts of the local chain: anvil's own, known to every Ethereum tool.
// Must never be used on a chain with real money: everybody has their keys.
import { type LocalAccount, toHex } from 'viem'
import { mnemonicToAccount, privateKeyToAccount } from 'viem/accounts'

const PUBLIC_TEST_MNEMONIC = 'test test test test test test test test test test test junk'

/** The first `count` accounts of the public test mnemonic, in order. */
export function testAccounts(count: number): readonly LocalAccount[] {
  // Stretching the mnemonic is the slow part, so it is done once and the accounts are derived from the branch.
  const branch = mnemonicToAccount(PUBLIC_TEST_MNEMONIC, { path: "m/44'/60'/0'/0" }).getHdKey()
  return Array.from({ length: count }, (_, index) => {
    const { privateKey } = branch.deriveChild(index)
    if (!privateKey) throw new Error(`Test account ${index} cannot be derived`)
    return privateKeyToAccount(toHex(privateKey))
  })
}
