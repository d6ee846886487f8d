// Places, records and events of channels for tests of stores and of the ledger.
// Must never hold anything that could be taken for a real secret.

import { createHash } from 'node:crypto'
import type { SessionEvent } from '../../machines/index.js'
import type { Address } from '../../src/protocol/index.js'
import { type ChannelScope, channelKey, emptyRecord, type SessionRecord } from '../../src/sessions/index.js'
import { computeChannelId } from '../../src/tempo/index.js'

function address(digit: string): Address {
  return `0x${digit.repeat(40)}`
}

export const PLACE: ChannelScope = {
  chainId: 42431,
  escrow: '0x4d50500000000000000000000000000000000000',
  payer: address('1'),
  signer: address('1'),
  payee: address('2'),
  token: address('3'),
  operator: address('0'),
}

export const KEY = channelKey(PLACE)

/** Another channel of the same payer. */
export function placeOf(payee: string, more: Partial<ChannelScope> = {}): ChannelScope {
  return { ...PLACE, payee: address(payee), ...more }
}

export function recordAt(key: string, version = 0): SessionRecord {
  return { ...emptyRecord(key, PLACE, 1_000), version }
}

/** A channel of a place: a seed is all that one differs by from another. */
export function channelAt(seed: string, place: ChannelScope = PLACE) {
  const { payer, payee, operator, token, signer } = place
  const digits = createHash('sha256').update(seed).digest('hex')
  const descriptor = {
    payer,
    payee,
    operator,
    token,
    salt: `0x${digits}`,
    authorizedSigner: signer,
    expiringNonceHash: `0x${'6'.repeat(64)}`,
  } as const
  return { channelId: computeChannelId(descriptor, place), descriptor }
}

/** The id of the channel of a seed. */
export function idOf(seed: string, place: ChannelScope = PLACE): string {
  return channelAt(seed, place).channelId
}

export type OpenSigned = Extract<SessionEvent, { type: 'OPEN_SIGNED' }>

/** @param more with the seed of the channel. */
export function openSigned(
  { seed = 'c1', ...more }: Partial<OpenSigned> & { readonly seed?: string } = {},
  place: ChannelScope = PLACE,
): OpenSigned {
  return {
    type: 'OPEN_SIGNED',
    ...channelAt(seed, place),
    resource: 'https://gateway.example/v1/mpp/chat/completions',
    deposit: '5000000',
    cumulative: '1000000',
    transactionHash: `0x${'a'.repeat(64)}`,
    validBefore: 25,
    ...more,
  }
}

export function adopted(seed: string, place: ChannelScope = PLACE): SessionEvent {
  return {
    type: 'CHANNEL_ADOPTED',
    ...channelAt(seed, place),
    resource: null,
    deposit: '5000000',
    settled: '0',
    cumulative: '0',
  }
}

export function topUpSigned(additionalDeposit = '5000000'): SessionEvent {
  return {
    type: 'TOP_UP_SIGNED',
    additionalDeposit,
    transactionHash: `0x${'b'.repeat(64)}`,
    validBefore: 50,
    reaching: '10000000',
  }
}
