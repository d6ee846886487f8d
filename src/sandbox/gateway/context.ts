// What the parts of a gateway share: the chain, the accounts it acts for, its accounting and its present settings.
// Must never hold anything of a single request.
import type { Client, LocalAccount } from 'viem'
import type { Address } from '../../protocol/hex.js'
import type { AccountedCharge, Accounting } from './accounting.js'
import type { ChallengeStore } from './challenges.js'
import type { Injections } from './injection.js'
import type { KeyedMutex } from './keyed-mutex.js'
import type { Replays } from './replays.js'
import type { GatewaySettings } from './settings.js'

export interface GatewayContext {
  readonly client: Client
  readonly chainId: number
  readonly escrow: Address
  readonly token: Address
  /** Receives what channels capture, and signs their close. */
  readonly payee: LocalAccount
  /** The zero address when challenges name none. */
  readonly operator: Address
  /** Pays the fees of close transactions, so that the payee's balance is exactly what was captured. */
  readonly sponsor: LocalAccount
  readonly accounting: Accounting
  readonly challengeStore: ChallengeStore
  readonly channelMutex: KeyedMutex
  readonly injections: Injections
  readonly replays: Replays
  /** Told of every run that is charged. */
  readonly charged: ((charge: AccountedCharge) => void) | undefined
  readonly settings: () => GatewaySettings
  /** Host and port, the realm of every challenge. */
  readonly realm: () => string
}
