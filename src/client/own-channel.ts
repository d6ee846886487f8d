// Which channel a client uses for the terms of a challenge.

import type { SessionRequest } from '../protocol/index.js'
import { type ChannelScope, channelKey } from '../sessions/index.js'
import { ZERO_ADDRESS } from '../tempo/index.js'
import type { OwnChannel, Runtime } from './runtime.js'

/** Where this client's channel for some terms is. */
export function channelFor(runtime: Runtime, terms: SessionRequest): OwnChannel {
  const known = runtime.channels.get(terms)
  if (known !== undefined) return known
  const place: ChannelScope = {
    chainId: terms.chainId,
    escrow: terms.escrowContract,
    payer: lower(runtime.account.address),
    signer: lower(runtime.voucherSigner.address),
    payee: terms.recipient,
    token: terms.currency,
    operator: terms.operator ?? ZERO_ADDRESS,
  }
  const channel = { place, key: channelKey(place) }
  runtime.channels.set(terms, channel)
  return channel
}

function lower(address: `0x${string}`): `0x${string}` {
  return `0x${address.slice(2).toLowerCase()}`
}
