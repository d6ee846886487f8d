// What the demo tells its printers: one kind of report for everything that can be seen.
// Must never hold a prompt, a completion, a signature or a credential: a report is made to be printed.

import type { BaseUnits, Transition } from '../transitions.js'

/** The steps of the scenario, in their order. */
export type StepName = 'open' | 'reuse' | 'refresh' | 'topUp' | 'concurrent' | 'close'

/** Where the scenario runs. */
export interface SettingReport {
  readonly type: 'setting'
  readonly gateway: string
  readonly rpcUrl: string
  readonly chainId: number
  readonly token: string
  readonly payer: string
  readonly payee: string
  readonly payerBalance: BaseUnits
  readonly pricePerToken: BaseUnits
  readonly bucket: BaseUnits
  readonly suggestedDeposit: BaseUnits
  readonly maxDeposit: BaseUnits
}

/** A step begins. */
export interface StepReport {
  readonly type: 'act'
  readonly act: StepName
  readonly title: string
  readonly why: string
  /** Requests that are paid for in it. */
  readonly requests: number
  /** Whether they are sent at once. */
  readonly together: boolean
}

/** A flow has entered a state. Reported at that moment. */
export interface TransitionReport extends Transition {
  readonly type: 'transition'
  readonly act: StepName
}

/** The channel, as the client's ledger knows it. */
export interface ChannelFigures {
  readonly deposit: BaseUnits
  readonly signed: BaseUnits
  readonly spent: BaseUnits
}

/** A request is over. */
export interface OutcomeReport {
  readonly type: 'outcome'
  readonly act: StepName
  readonly flow: number
  readonly status: 'succeeded' | 'failed'
  /** The failure's code, or what is wrong with an answer that came. */
  readonly problem: string | null
  readonly tokens: number
  readonly cost: BaseUnits
  readonly vouchersSigned: number
  readonly paidSends: number
  readonly channel: ChannelFigures
}

/** What a step came to. */
export interface StepTally {
  readonly act: StepName
  readonly title: string
  readonly requests: number
  readonly succeeded: number
  /** Sends that carried a credential for content, refused ones included. */
  readonly paidSends: number
  readonly signatures: number
  /** Requests that were paid with a voucher that was there already. */
  readonly reuses: number
  readonly deposited: BaseUnits
  readonly spent: BaseUnits
}

/** A step is over. */
export interface StepEndReport extends StepTally {
  readonly type: 'actEnd'
  readonly channel: ChannelFigures
}

/** Balances on the chain before and after, in base units. */
export interface AccountsReport {
  readonly type: 'accounts'
  readonly payerBefore: BaseUnits
  readonly payerAfter: BaseUnits
  readonly payeeBefore: BaseUnits
  readonly payeeAfter: BaseUnits
  readonly reserveBefore: BaseUnits
  readonly reserveAfter: BaseUnits
}

/** The last report: what was done and whether every unit is accounted for. */
export interface SummaryReport {
  readonly type: 'summary'
  readonly requests: number
  readonly succeeded: number
  readonly unpaidSends: number
  readonly paidSends: number
  readonly channelsOpened: number
  readonly topUps: number
  readonly vouchersSigned: number
  readonly voucherReuses: number
  readonly deposited: BaseUnits
  readonly captured: BaseUnits
  readonly refunded: BaseUnits
  readonly payerBefore: BaseUnits
  readonly payerAfter: BaseUnits
  readonly conserved: boolean
}

export type Report =
  | SettingReport
  | StepReport
  | TransitionReport
  | OutcomeReport
  | StepEndReport
  | AccountsReport
  | SummaryReport

/** Takes every report at the moment it is made. */
export type Reporter = (report: Report) => void
