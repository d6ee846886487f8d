// Where a recovery leads, as `meta` of its transition: the error table, the pictures, the model and the docs read it there.

/** What the payment-flow machine does about a code. */
export type LeadsTo =
  | 'top-up'
  | 'voucher-refresh'
  | 'next-offer'
  | 're-challenge'
  | 're-plan'
  | 'resend'
  | 'retry-close'
  | 'reconcile'
  | 'ask-chain-again'
  | 'wait'
  | 'terminal'

/** What is said of a transition that is a recovery. One without it is a step, or an end. */
export interface RecoveryMeta<To extends string = LeadsTo> {
  readonly leadsTo: To
}

export const to = {
  topUp: { leadsTo: 'top-up' },
  voucherRefresh: { leadsTo: 'voucher-refresh' },
  nextOffer: { leadsTo: 'next-offer' },
  reChallenge: { leadsTo: 're-challenge' },
  rePlan: { leadsTo: 're-plan' },
  resend: { leadsTo: 'resend' },
  retryClose: { leadsTo: 'retry-close' },
  reconcile: { leadsTo: 'reconcile' },
  askChainAgain: { leadsTo: 'ask-chain-again' },
  wait: { leadsTo: 'wait' },
} as const satisfies Readonly<Record<string, RecoveryMeta>>

/** Where a transition of any machine says that it leads; null for one that is no recovery. */
export function leadsToOf({ meta }: { readonly meta?: unknown }): string | null {
  if (typeof meta !== 'object' || meta === null || !('leadsTo' in meta)) return null
  return typeof meta.leadsTo === 'string' ? meta.leadsTo : null
}
