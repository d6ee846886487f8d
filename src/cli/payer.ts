// Makes a client from the options of a command: keys, ledger, chain and policy.
// Must never let a policy option that cannot be read fall back to its default.

import type { LocalAccount } from 'viem'
import { z } from 'zod'
import { createMppClient, type MppClient, type MppClientOptions, type Policy } from '../client/index.js'
import type { SessionStore } from '../sessions/index.js'
import { withOptions } from './advice.js'
import { firstLine } from './command-run.js'
import { usageError } from './exit.js'
import { PAYER_KEY, readAccount, VOUCHER_KEY } from './keys.js'

const text = z.string().optional()
const texts = z.array(z.string()).optional()

/** Options that say where the ledger is. */
export const storeOptions = z.object({ store: text })

/** Options that say who pays. */
export const payerOptions = storeOptions.extend({ keyFile: text, voucherKeyFile: text, rpcUrl: text })

/** Options that say what may be paid. Amounts are tokens. */
export const policyOptions = z.object({
  maxDeposit: text,
  maxTotalDeposit: text,
  maxCumulative: text,
  maxExposure: text,
  maxFee: text,
  allowOrigin: texts,
  allowChain: texts,
  allowToken: texts,
  allowPayee: texts,
  allowOperator: texts,
  allowEscrow: texts,
  authenticatedOrigin: texts,
})

/** Who pays: the account that moves deposits, and the one that signs vouchers if it is another. */
export interface Payer {
  readonly account: LocalAccount
  readonly voucherSigner?: LocalAccount
}

/** Reads the keys. @returns undefined when there is none for the payer. */
export async function readPayer(options: z.infer<typeof payerOptions>): Promise<Payer | undefined> {
  const account = await readAccount(PAYER_KEY, options.keyFile)
  const voucherSigner = await readAccount(VOUCHER_KEY, options.voucherKeyFile)
  return account && { account, ...(voucherSigner && { voucherSigner }) }
}

/** Reads the keys. @throws CommandError when there is none for the payer. */
export async function needPayer(options: z.infer<typeof payerOptions>): Promise<Payer> {
  const payer = await readPayer(options)
  if (payer !== undefined) return payer
  throw usageError('there is no key to pay with: set MPP_FLOW_KEY, or name a file with --key-file')
}

/** The policy that the options say; whatever they do not say is left to its default. */
export function policyOf(options: z.infer<typeof policyOptions>): Policy {
  const { maxDeposit, maxTotalDeposit, maxCumulative, maxExposure, maxFee } = options
  const { allowOrigin, allowChain, allowToken, allowPayee, allowOperator, allowEscrow, authenticatedOrigin } = options
  return {
    ...(maxDeposit !== undefined && { maxDeposit }),
    ...(maxTotalDeposit !== undefined && { maxTotalDeposit }),
    ...(maxCumulative !== undefined && { maxCumulative }),
    ...(maxExposure !== undefined && { maxExposure }),
    ...(maxFee !== undefined && { maxFee }),
    ...(allowOrigin !== undefined && { allowedOrigins: allowOrigin.map(originFor('--allow-origin')) }),
    ...(allowChain !== undefined && { allowedChains: allowChain.map(chainId) }),
    ...(allowToken !== undefined && { allowedTokens: allowToken }),
    ...(allowPayee !== undefined && { allowedPayees: allowPayee }),
    ...(allowOperator !== undefined && { allowedOperators: allowOperator }),
    ...(allowEscrow !== undefined && { allowedEscrows: allowEscrow }),
    ...(authenticatedOrigin !== undefined && {
      authenticatedOrigins: authenticatedOrigin.map(originFor('--authenticated-origin')),
    }),
  }
}

function chainId(given: string): number {
  if (!/^[1-9][0-9]{0,14}$/.test(given)) throw usageError('--allow-chain takes the id of a chain, such as 4217')
  return Number(given)
}

function originFor(option: string) {
  return (given: string): string => {
    if (!URL.canParse(given)) throw usageError(`${option} takes an origin, such as https://gateway.example`)
    return new URL(given).origin
  }
}

/**
 * Makes a client, or whatever reads a policy.
 *
 * @throws CommandError naming the option when a limit, an address or an origin cannot be read.
 */
export function readingPolicy<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    const said = firstLine(error).replace('; or a bigint of base units', '')
    throw usageError(withOptions(said.replace(/^policy\.(\w+)(?:\[\d+\])?/, '$1')))
  }
}

/** @throws CommandError when an option cannot be read. */
export function openClient(
  { account, voucherSigner }: Payer,
  store: SessionStore,
  { rpcUrl }: z.infer<typeof payerOptions>,
  more: Omit<MppClientOptions, 'account' | 'voucherSigner' | 'store' | 'rpcUrl'>,
): MppClient {
  if (rpcUrl !== undefined && !/^https?:$/.test(URL.canParse(rpcUrl) ? new URL(rpcUrl).protocol : '')) {
    throw usageError('--rpc-url is no http or https URL')
  }
  const signer = voucherSigner === undefined ? {} : { voucherSigner }
  const chain = rpcUrl === undefined ? {} : { rpcUrl }
  return readingPolicy(() => createMppClient({ account, store, ...signer, ...chain, ...more }))
}
