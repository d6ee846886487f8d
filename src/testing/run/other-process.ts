// What happened before a flow began, and what another process with the same wallet does meanwhile: all of it for real.
// Must never write into the ledger what no process could have written, except where a path is about exactly that.

import { createClient, http, TransactionReceiptNotFoundError } from 'viem'
import { getTransactionReceipt, sendRawTransactionSync } from 'viem/actions'
import { tempoModerato } from 'viem/chains'
import { Actions } from 'viem/tempo'
import { add } from '../../../machines/index.js'
import { createMppClient, type MppClient, PATH_USD, type Policy } from '../../client/index.js'
import { type Address, descriptorSchema, parseHex } from '../../protocol/index.js'
import {
  type ChangeOptions,
  createLedger,
  type HeldLease,
  isEnded,
  memoryStore,
  type SessionRecord,
  type SessionStore,
} from '../../sessions/index.js'
import { readChainTime, signTopUp, signVoucher } from '../../tempo/index.js'
import { answer } from '../model/answers.js'
import type { ChainTruth, Finding, GatewayAnswer, Interference } from '../model/causes.js'
import { BUCKET, SUGGESTED_DEPOSIT } from '../model/payloads.js'
import type { PathGround } from './target.js'

/** Where nobody is known to live. */
const ELSEWHERE = `0x${'d'.repeat(40)}` as const
const LEASE_TIMEOUT_MS = 20_000
/** A transaction with so many seconds left is waited for, not sent again. */
const ABOUT_TO_EXPIRE_SECONDS = 3

export interface OtherProcess {
  /** Leaves the channel as a flow is to find it. */
  prepare(finding: Finding): Promise<void>
  act(interference: Interference): Promise<void>
  /** Makes the chain show what became of the pending operation. */
  decide(truth: ChainTruth): Promise<void>
  /** Somebody spends all that the payer has of a token. Default: the one that the gateway is paid in. */
  emptyWallet(token?: Address): Promise<void>
}

/** Acts with the payer's own account, ledger and gateway. */
export function createOtherProcess(ground: PathGround, store: SessionStore): OtherProcess {
  const { gateway, payer, rpcUrl } = ground
  const chain = createClient({ chain: tempoModerato, transport: http(rpcUrl) })
  const ledger = createLedger({ store })

  function clientOn(kept: SessionStore, policy: Policy, send: typeof fetch = fetch): MppClient {
    const limits = { maxDeposit: '20', maxExposure: '20', ...ground.policy, ...policy }
    return createMppClient({ account: payer, rpcUrl, store: kept, policy: limits, fetch: send })
  }

  async function pay(client: MppClient): Promise<void> {
    const outcome = await client.pay(gateway.url, ground.request)
    if (outcome.status === 'failed') {
      const { code, detail } = outcome.failure
      const hint = code === 'limit_exceeded' ? '; paths are made for a gateway with a bucket of one token' : ''
      throw new Error(`a payment before the path failed: ${code} ${detail ?? ''}${hint}`)
    }
    // Until the open is confirmed beside the answer: the record is changed after this.
    await client.sessions.list()
  }

  async function current(kept: SessionStore = store): Promise<SessionRecord> {
    const known = (await kept.list()).filter(({ session }) => session.channelId !== null)
    // Channels that have ended are kept beside the one that took their place.
    const record = known.find((one) => !isEnded(one)) ?? known.sort((a, b) => b.usedAt - a.usedAt)[0]
    if (record === undefined) throw new Error('the ledger holds no channel')
    return record
  }

  async function withLease<T>(key: string, work: (lease: HeldLease) => Promise<T>): Promise<T> {
    const lease = await ledger.lease(key, { signal: new AbortController().signal, timeoutMs: LEASE_TIMEOUT_MS })
    try {
      return await work(lease)
    } finally {
      await lease.release()
    }
  }

  type Event = Parameters<typeof ledger.apply>[2]
  async function apply(event: Event, more: Omit<ChangeOptions, 'lease'> = {}): Promise<void> {
    const { key, place } = await current()
    await withLease(key, (lease) => ledger.apply(key, place, event, { lease, ...more }))
  }

  async function voucherOver(record: SessionRecord, cumulative: string) {
    const { place, session } = record
    const channelId = parseHex(session.channelId, 32)
    if (!channelId.ok) throw new Error('the channel has no id')
    const { chainId, escrow } = place
    return signVoucher(payer, { channelId: channelId.value, cumulative: BigInt(cumulative), chainId, escrow })
  }

  /**
   * A process whose paid sends are refused as `refusals` say, and whose next one does not arrive: there it dies.
   */
  async function dying(policy: Policy, refusals: readonly GatewayAnswer[]): Promise<void> {
    const death = new AbortController()
    const left = [...refusals]
    const send: typeof fetch = async (input, init) => {
      if (!new Headers(init?.headers).has('authorization')) return fetch(input, init)
      const refusal = left.shift()
      if (refusal !== undefined) {
        await gateway.answerNext(refusal)
        return fetch(input, init)
      }
      await gateway.breakNext()
      return fetch(input, init).finally(() => death.abort())
    }
    await clientOn(store, policy, send).pay(gateway.url, { ...ground.request, signal: death.signal })
  }

  /** Closes the channel while the ledger is not told. */
  async function closeBehind(): Promise<void> {
    const record = await current()
    const copied = memoryStore()
    const open = record.status === 'opening' ? record : { ...record, status: 'open' as const }
    const session =
      record.status === 'opening' ? record.session : { ...record.session, pending: null, status: 'open' as const }
    await copied.update(record.key, () => ({ ...open, session }))
    const client = clientOn(copied, {})
    if (record.status === 'opening') await pay(client)
    await close(client, copied)
  }

  async function close(client: MppClient, kept: SessionStore): Promise<void> {
    const outcome = await client.sessions.close((await current(kept)).session.channelId ?? '')
    if (outcome.status === 'failed') {
      throw new Error(`closing the channel failed: ${outcome.failure.code} ${outcome.failure.detail ?? ''}`)
    }
  }

  async function topUpNow(): Promise<void> {
    const record = await current()
    const { key, place, session } = record
    await withLease(key, async (lease) => {
      const { chainId, escrow } = place
      const descriptor = descriptorSchema.parse(session.descriptor)
      const additionalDeposit = SUGGESTED_DEPOSIT
      const terms = { account: payer, descriptor, additionalDeposit: BigInt(additionalDeposit), chainId, escrow }
      const { transaction, transactionHash, validBefore } = await signTopUp(chain, terms)
      const deposit = add(session.deposit, additionalDeposit)
      const signed = {
        type: 'TOP_UP_SIGNED',
        additionalDeposit,
        reaching: deposit,
        transactionHash,
        validBefore,
      } as const
      await ledger.apply(key, place, signed, { lease, transaction })
      await sendRawTransactionSync(chain, { serializedTransaction: transaction })
      await ledger.apply(key, place, { type: 'TOP_UP_CONFIRMED', deposit }, { lease })
    })
  }

  async function prepare(finding: Finding): Promise<void> {
    switch (finding) {
      case 'absent':
      case 'unchanged':
        return
      case 'open':
        return pay(clientOn(store, { maxDeposit: '5' }))
      case 'used-up':
        return pay(clientOn(store, { maxDeposit: '1' }))
      case 'opening':
        await dying({ maxDeposit: '5' }, [])
        return mustBe('opening')
      case 'topping-up':
        await prepare('used-up')
        await dying({}, [answer({ problem: 'session/amount-exceeds-deposit', challenges: 1 })])
        return mustBe('toppingUp')
      case 'closing': {
        await prepare('open')
        const { session } = await current()
        return apply({ type: 'CLOSE_SIGNED', cumulative: session.signed })
      }
      case 'overdrawn':
        return overdraw()
      case 'close-requested':
        await prepare('open')
        return requestClose()
      case 'closed':
        await prepare('open')
        return close(clientOn(store, {}), store)
    }
  }

  async function broadcast(): Promise<void> {
    const { pendingTransaction } = (await current()).secrets
    if (pendingTransaction === null) throw new Error('nothing signed is pending')
    await sendRawTransactionSync(chain, { serializedTransaction: pendingTransaction })
  }

  async function isIncluded(): Promise<boolean> {
    const hash = parseHex((await current()).session.pending?.transactionHash, 32)
    if (!hash.ok) return false
    return getTransactionReceipt(chain, { hash: hash.value }).then(
      () => true,
      (error) => {
        if (error instanceof TransactionReceiptNotFoundError) return false
        throw error
      },
    )
  }

  async function mustBe(status: SessionRecord['status']): Promise<void> {
    const record = await current()
    if (record.status !== status) throw new Error(`the channel was to be left ${status}, and is ${record.status}`)
  }

  /** More signed than deposited, as a client leaves it that signed without looking. */
  async function overdraw(): Promise<void> {
    await prepare('used-up')
    const record = await current()
    const cumulative = add(record.session.signed, BUCKET)
    const signature = await voucherOver(record, cumulative)
    await store.update(record.key, (kept) =>
      kept === undefined
        ? undefined
        : {
            ...kept,
            session: { ...kept.session, signed: cumulative },
            secrets: { ...kept.secrets, voucher: { cumulative, signature } },
          },
    )
  }

  /** Asks the chain for a forced close, and leaves it there: its grace period runs. */
  async function requestClose(): Promise<void> {
    const { session } = await current()
    const waiting = new AbortController()
    await clientOn(store, {}).sessions.forceClose(session.channelId ?? '', {
      signal: waiting.signal,
      onProgress: ({ step }) => {
        if (step === 'waiting') waiting.abort()
      },
    })
    return mustBe('closeRequested')
  }

  return {
    prepare,
    async act(interference) {
      switch (interference) {
        case 'opens':
          return prepare('open')
        case 'signs': {
          const record = await current()
          const cumulative = add(record.session.signed, BUCKET)
          const voucher = await voucherOver(record, cumulative)
          return apply({ type: 'VOUCHER_SIGNED', cumulative }, { voucher })
        }
        case 'tops-up':
          return topUpNow()
        case 'closes':
          return close(clientOn(store, {}), store)
        case 'notes-loss':
          await closeBehind()
          return apply({ type: 'CHANNEL_GONE' })
        case 'is-acknowledged': {
          const { key, place, session } = await current()
          const { signed } = session
          await ledger.apply(key, place, { type: 'RECEIPT_ACCEPTED', accepted: signed, spent: signed })
          return
        }
      }
    },
    async decide(truth) {
      switch (truth) {
        case 'as-before':
          return
        case 'included':
          // The request arrives late. One that never left this machine, or that nobody would take any more, was sent to
          // the chain by another process.
          await gateway.deliverLate()
          if (!(await isIncluded())) await broadcast()
          return
        case 'ended':
          return closeBehind()
        case 'expired':
        case 'about-to-expire': {
          if (ground.advanceTime === undefined) throw new Error('this target cannot move the clock of its chain')
          const { session } = await current()
          const left = (session.pending?.validBefore ?? 0) - (await readChainTime(chain))
          const seconds = truth === 'expired' ? left + 1 : left - ABOUT_TO_EXPIRE_SECONDS
          if (seconds > 0) await ground.advanceTime(seconds)
        }
      }
    },
    async emptyWallet(token = PATH_USD) {
      const held = await Actions.token.getBalance(chain, { account: payer.address, token })
      const amount = typeof held === 'bigint' ? held : held.amount
      if (amount > 0n) await Actions.token.transferSync(chain, { account: payer, to: ELSEWHERE, token, amount })
    },
  }
}
