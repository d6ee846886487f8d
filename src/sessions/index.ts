// The ledger of channels and the stores that keep it.
// Must never export what is inside a record's secrets by any other way than the ledger itself.

export type { Freshness } from './deposits.js'
export { type InFlightRequests, InFlightTimeout, type Permit, type TurnGrant, type WaitOptions } from './in-flight.js'
export type { HeldLease, LeaseOptions } from './lease-queue.js'
export { type ChangeOptions, createLedger, IllegalChange, type Ledger, type LedgerOptions } from './ledger.js'
export { type MemoryStoreOptions, memoryStore } from './memory-store.js'
export {
  atStake,
  type ChannelScope,
  channelKey,
  emptyRecord,
  isBusy,
  isEnded,
  isSecondary,
  RECORD_FORMAT,
  type ResourceAccess,
  type SessionRecord,
  type SessionSecrets,
  secondaryKey,
  viewOf,
} from './record.js'
export { isOfOneRecord, type Lease, type SessionStore, StoreError, type StoreRefusal } from './store.js'
