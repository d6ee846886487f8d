// A viem account that counts what it is asked to sign.
// Must never change a signature, nor keep one.

import type { LocalAccount } from 'viem'

export interface CountingAccount {
  readonly account: LocalAccount
  /** Signatures of any kind so far. */
  signatures(): number
}

/** Wraps an account. */
export function counting(account: LocalAccount): CountingAccount {
  let signatures = 0
  const counted =
    <Args extends readonly unknown[], Result>(sign: (...args: Args) => Result) =>
    (...args: Args): Result => {
      signatures += 1
      return sign(...args)
    }
  const { sign, signTypedData } = account
  return {
    account: {
      ...account,
      ...(sign !== undefined && { sign: counted(sign) }),
      signMessage: counted(account.signMessage),
      signTransaction: counted(account.signTransaction),
      signTypedData: (typedData) => {
        signatures += 1
        return signTypedData(typedData)
      },
    },
    signatures: () => signatures,
  }
}
