// The demo's rule for deposits: it allows them, as soon as all flows of an act that need one have come to ask.
// Must never answer a flow of another act, nor keep one waiting that nobody else will join.

import type { TransitionReport } from './reports.js'

export interface ApprovalRule {
  /** For `policy.approve`. */
  readonly approve: () => Promise<boolean>
  /** From now on, this many flows are expected to ask or to end before the answer is given. */
  expect(flows: number): void
  /** Follows where the flows are. */
  note(transition: Pick<TransitionReport, 'flow' | 'state'>): void
}

const ARRIVED = new Set(['authorizing.awaitingApproval', 'succeeded', 'closed', 'failed'])

/**
 * Only one flow is ever asking: it holds the channel's lease, and the others wait behind it. Waiting until all of them
 * are there makes sure that every run of the demo shows the same: all are refused, one top-up serves all.
 */
export function createApprovalRule(): ApprovalRule {
  const arrived = new Set<number>()
  let expected = 1
  let answer: () => void = () => undefined

  return {
    async approve() {
      if (arrived.size < expected) {
        await new Promise<void>((resolve) => {
          answer = resolve
        })
      }
      return true
    },
    expect(flows) {
      arrived.clear()
      expected = flows
    },
    note({ flow, state }) {
      if (!ARRIVED.has(state)) return
      arrived.add(flow)
      if (arrived.size >= expected) answer()
    },
  }
}
