// An open channel in a ledger's store, with a voucher that was really signed, without a chain to open it on.
// Must never be taken for an opening: nothing of this is on any chain.

import { type LocalAccount, toHex } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import type { ChannelDescriptor, Hex } from '../../../src/protocol/index.js'
import {
  type ChannelScope,
  channelKey,
  createLedger,
  type SessionStore,
  secondaryKey,
} from '../../../src/sessions/index.js'
import { computeChannelId, lowerCase, signVoucher, ZERO_ADDRESS } from '../../../src/tempo/index.js'
import { CHAIN_ID, ESCROW, PAYEE, ROUTE, TOKEN } from './terms.js'

/** Enough for every request of a run. Base units. */
export const DEPOSIT = 10n ** 18n

const LEASE_TIMEOUT_MS = 5_000
const LONG_VALID = 4_000_000_000

export interface PreparedChannel {
  readonly account: LocalAccount
  readonly channelId: Hex
  readonly descriptor: ChannelDescriptor
  readonly place: ChannelScope
}

/** A payer whose key nobody else has. */
export function newPayer(): LocalAccount {
  return privateKeyToAccount(generatePrivateKey())
}

/** Puts an open channel into the store, through the ledger as an opening would. @param cumulative of its voucher. */
export async function openInStore(
  store: SessionStore,
  account: LocalAccount,
  cumulative = 1_000_000n,
): Promise<PreparedChannel> {
  const payer = lowerCase(account.address)
  const place: ChannelScope = {
    chainId: CHAIN_ID,
    escrow: ESCROW,
    payer,
    signer: payer,
    payee: PAYEE,
    token: TOKEN,
    operator: ZERO_ADDRESS,
  }
  const descriptor: ChannelDescriptor = {
    payer,
    payee: PAYEE,
    operator: ZERO_ADDRESS,
    token: TOKEN,
    salt: toHex(crypto.getRandomValues(new Uint8Array(32))),
    authorizedSigner: payer,
    expiringNonceHash: toHex(crypto.getRandomValues(new Uint8Array(32))),
  }
  const channelId = computeChannelId(descriptor, { chainId: CHAIN_ID, escrow: ESCROW })
  const voucher = await signVoucher(account, { channelId, cumulative, chainId: CHAIN_ID, escrow: ESCROW })
  const ledger = createLedger({ store })
  const key = channelKey(place)
  const { signal } = new AbortController()
  const lease = await ledger.lease(key, { signal, timeoutMs: LEASE_TIMEOUT_MS })
  try {
    const signed = {
      type: 'OPEN_SIGNED',
      channelId,
      descriptor: { ...descriptor },
      resource: `http://127.0.0.1${ROUTE}`,
      deposit: DEPOSIT.toString(),
      cumulative: cumulative.toString(),
      transactionHash: toHex(crypto.getRandomValues(new Uint8Array(32))),
      validBefore: LONG_VALID,
    } as const
    await ledger.apply(key, place, signed, { lease, voucher, transaction: '0x76' })
    await ledger.apply(key, place, { type: 'OPEN_CONFIRMED', deposit: DEPOSIT.toString(), block: 1 }, { lease })
  } finally {
    await lease.release()
  }
  return { account, channelId, descriptor, place }
}

/** Fills the store up to `channels` channels, all but the one in use with other payees. */
export async function addChannels(store: SessionStore, own: PreparedChannel, channels: number): Promise<void> {
  const record = await store.get(channelKey(own.place))
  if (record === undefined) throw new Error('the store has no channel to copy')
  for (let at = 1; at < channels; at += 1) {
    const isBeside = at % 10 === 0
    const place = isBeside ? own.place : { ...own.place, payee: toHex(at, { size: 20 }) }
    const descriptor = { ...own.descriptor, payee: place.payee, salt: toHex(at, { size: 32 }) }
    const channelId = computeChannelId(descriptor, place)
    const key = isBeside ? secondaryKey(channelKey(place), channelId) : channelKey(place)
    await store.update(key, () => ({ ...record, key, place, session: { ...record.session, channelId, descriptor } }))
  }
}
