// Channel ids and vouchers against the libraries that others wrote, and against forgeries.
import fc from 'fast-check'
import { Channel, SignatureEnvelope } from 'ox/tempo'
import { parseSignature, serializeCompactSignature, signatureToCompactSignature } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { Account } from 'viem/tempo'
import { describe, expect, it } from 'vitest'
import type { ChannelDescriptor } from '../../src/protocol/descriptor.js'
import type { Hex } from '../../src/protocol/hex.js'
import { CHANNEL_RESERVE } from '../../src/protocol/session-request.js'
import {
  computeChannelId,
  effectiveSigner,
  settleableSignature,
  signVoucher,
  verifyVoucher,
  ZERO_ADDRESS,
} from '../../src/tempo/index.js'
import { cases } from '../extent.js'

const KEY = `0x${'42'.repeat(32)}` as const
const OTHER_ESCROW = `0x${'e5'.repeat(20)}` as const
const CHANNEL_ID = `0x${'c1'.repeat(32)}` as const

const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((array): Hex => `0x${Buffer.from(array).toString('hex')}`)
const descriptors: fc.Arbitrary<ChannelDescriptor> = fc.record({
  payer: hex(20),
  payee: hex(20),
  operator: hex(20),
  token: hex(20),
  salt: hex(32),
  authorizedSigner: hex(20),
  expiringNonceHash: hex(32),
})

describe('computeChannelId', () => {
  it('equals the computation of ox at the canonical escrow', () => {
    fc.assert(
      fc.property(descriptors, fc.nat(), (descriptor, chainId) => {
        expect(computeChannelId(descriptor, { chainId, escrow: CHANNEL_RESERVE })).toBe(
          Channel.computeId(descriptor, { chainId }),
        )
      }),
      { numRuns: cases(300) },
    )
  })

  it('differs by escrow and by chain, and not by letter case', () => {
    const [descriptor] = fc.sample(descriptors, { numRuns: 1, seed: 7 })
    if (descriptor === undefined) throw new Error('no sample')
    const id = computeChannelId(descriptor, { chainId: 1, escrow: CHANNEL_RESERVE })
    expect(computeChannelId(descriptor, { chainId: 1, escrow: OTHER_ESCROW })).not.toBe(id)
    expect(computeChannelId(descriptor, { chainId: 2, escrow: CHANNEL_RESERVE })).not.toBe(id)
    const shouted = { ...descriptor, payer: `0x${descriptor.payer.slice(2).toUpperCase()}` as const }
    expect(computeChannelId(shouted, { chainId: 1, escrow: CHANNEL_RESERVE })).toBe(id)
  })

  it('names the payer as signer when the descriptor names none', () => {
    const [descriptor] = fc.sample(descriptors, { numRuns: 1, seed: 7 })
    if (descriptor === undefined) throw new Error('no sample')
    expect(effectiveSigner(descriptor)).toBe(descriptor.authorizedSigner)
    expect(effectiveSigner({ ...descriptor, authorizedSigner: ZERO_ADDRESS })).toBe(descriptor.payer)
  })
})

describe('vouchers', () => {
  const terms = { channelId: CHANNEL_ID, cumulative: 1_000_000n, chainId: 42431, escrow: CHANNEL_RESERVE }
  const accounts = [privateKeyToAccount(KEY), Account.fromSecp256k1(KEY)] as const

  it.each(accounts.map((account) => [account.source, account] as const))(
    'signed by a %s account equal those of viem, and verify',
    async (_, account) => {
      const signature = await signVoucher(account, terms)
      expect(signature).toMatch(/^0x[0-9a-f]{130}$/)
      const { channelId, cumulative, chainId } = terms
      expect(signature).toBe(
        await accounts[1].signVoucher({ chainId, channel: channelId, cumulativeAmount: cumulative }),
      )
      expect(await verifyVoucher({ ...terms, signature, signer: account.address })).toBe(true)
    },
  )

  it('verify at an escrow of the caller’s choice, and only there', async () => {
    const [account] = accounts
    const elsewhere = { ...terms, escrow: OTHER_ESCROW }
    const signature = await signVoucher(account, elsewhere)
    expect(await verifyVoucher({ ...elsewhere, signature, signer: account.address })).toBe(true)
    expect(await verifyVoucher({ ...terms, signature, signer: account.address })).toBe(false)
  })

  it('verify for P-256 accounts, whose signature brings its public key along', async () => {
    const account = Account.fromP256(KEY)
    const signature = await signVoucher(account, terms)
    expect(await verifyVoucher({ ...terms, signature, signer: account.address })).toBe(true)
    expect(await verifyVoucher({ ...terms, cumulative: 1n, signature, signer: account.address })).toBe(false)
  })

  it('do not verify for another channel, amount, chain or signer', async () => {
    const [account] = accounts
    const signature = await signVoucher(account, terms)
    const signer = account.address
    expect(await verifyVoucher({ ...terms, channelId: `0x${'c2'.repeat(32)}`, signature, signer })).toBe(false)
    expect(await verifyVoucher({ ...terms, cumulative: 1_000_001n, signature, signer })).toBe(false)
    expect(await verifyVoucher({ ...terms, chainId: 4217, signature, signer })).toBe(false)
    expect(await verifyVoucher({ ...terms, signature, signer: ZERO_ADDRESS })).toBe(false)
  })

  it('do not verify in a second encoding of the same signature', async () => {
    const [account] = accounts
    const signature = await signVoucher(account, terms)
    const { signature: parts } = SignatureEnvelope.from(signature) as SignatureEnvelope.Secp256k1
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
    const twin = SignatureEnvelope.serialize({
      type: 'secp256k1',
      signature: { r: parts.r, s: order - parts.s, yParity: 1 - parts.yParity },
    })
    const shortV: Hex = `0x${signature.slice(2, -2)}${(Number(`0x${signature.slice(-2)}`) - 27).toString(16).padStart(2, '0')}`
    for (const spelling of [twin, shortV, `${signature}00` as const, `${signature}${'7777'.repeat(16)}` as const]) {
      expect(await verifyVoucher({ ...terms, signature: spelling, signer: account.address })).toBe(false)
    }
  })

  it('verify in the 64 bytes of EIP-2098, and become the same 65 bytes for the chain', async () => {
    const [account] = accounts
    const parities = new Set<string>()
    for (let cumulative = 1n; cumulative <= 16n; cumulative += 1n) {
      const voucher = { ...terms, cumulative }
      const signature = await signVoucher(account, voucher)
      const compact = serializeCompactSignature(signatureToCompactSignature(parseSignature(signature)))
      parities.add(signature.slice(-2))
      expect(compact).toHaveLength(130)
      expect(settleableSignature(compact)).toBe(signature)
      expect(settleableSignature(signature)).toBe(signature)
      expect(await verifyVoucher({ ...voucher, signature: compact, signer: account.address })).toBe(true)
      // Without its parity bit it is the signature of another key.
      const flipped: Hex = `0x${compact.slice(2, 66)}${(BigInt(`0x${compact.slice(66)}`) ^ (1n << 255n)).toString(16).padStart(64, '0')}`
      expect(await verifyVoucher({ ...voucher, signature: flipped, signer: account.address })).toBe(false)
      expect(await verifyVoucher({ ...voucher, cumulative: 99n, signature: compact, signer: account.address })).toBe(
        false,
      )
    }
    expect(parities.size).toBe(2)
  })

  it('never verify, and never throw, for bytes that are no signature', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const signature: Hex = `0x${Buffer.from(bytes).toString('hex')}`
        expect(await verifyVoucher({ ...terms, signature, signer: accounts[0].address })).toBe(false)
      }),
      { numRuns: cases(500) },
    )
  })
})
