// Breaks the client on purpose, one way at a time, to show that the matrix would notice.
// Must never count a client as broken when an edit no longer fits its source: then this file is what must be mended.

import type { OperationName } from './operations.js'
import type { Sums } from './report.js'

/** What is put in the place of what, in one file of the source. */
export interface Edit {
  /** Below the project's folder. */
  readonly file: string
  /** Stands there exactly once. */
  readonly find: string
  readonly replace: string
}

/** What must be noticed: one of the sums, or anything else that is not as it must be. */
export type Catch = Exclude<keyof Sums, 'points'> | 'problems'

export interface SourceMutation {
  readonly name: string
  readonly edits: readonly Edit[]
  /** The case in which it does harm: an operation, and a point in the words of the table. */
  readonly at: readonly [OperationName, string]
  readonly caught: Catch
}

const FORGETFUL = `
function forgetful(kept) {
  const held = new Map()
  return {
    ...kept,
    get: async (key) => held.get(key) ?? kept.get(key),
    async update(key, change, leases) {
      const after = change(held.get(key) ?? (await kept.get(key)))
      if (after?.status === 'opening') {
        held.set(key, after)
        return after
      }
      return held.delete(key) ? kept.update(key, () => after, leases) : kept.update(key, change, leases)
    },
  }
}
`

export const SOURCE_MUTATIONS: readonly SourceMutation[] = [
  {
    name: 'an open is sent before it is stored',
    edits: [
      {
        file: 'src/sessions/ledger.ts',
        find: 'export function createLedger({\n  store,',
        replace: `${FORGETFUL}export function createLedger({\n  store: kept,`,
      },
      {
        file: 'src/sessions/ledger.ts',
        find: '  const inFlight = createInFlightRequests()',
        replace: '  const store = forgetful(kept)\n  const inFlight = createInFlightRequests()',
      },
    ],
    at: ['open', 'after send of open'],
    caught: 'doubleChannels',
  },
  {
    name: 'a pending open is forgotten while the chain may still include it',
    edits: [
      {
        file: 'src/client/effects/reconcile.ts',
        find: "return unless({ type: 'OPEN_DROPPED' })",
        replace: "return apply({ type: 'OPEN_DROPPED' })",
      },
    ],
    at: ['open', 'after answer to open, then the node answers from the past'],
    caught: 'doubleChannels',
  },
  {
    name: 'a second open is signed while the first is pending',
    edits: [
      {
        file: 'src/client/effects/open-session.ts',
        find: "if (record?.status === 'opening') return { type: 'OPEN_RESUMED', session: view }",
        replace: '',
      },
      {
        file: 'machines/session.machine.ts',
        find: "        OPEN_DROPPED: { target: 'absent', actions: 'forgetOpen', meta: to.reconcile },",
        replace:
          "        OPEN_DROPPED: { target: 'absent', actions: 'forgetOpen', meta: to.reconcile },\n        OPEN_SIGNED: opens.OPEN_SIGNED,",
      },
    ],
    at: ['open', 'after answer to open, then the node answers from the past'],
    caught: 'doubleChannels',
  },
  {
    name: 'a paid request is made again when its answer is lost',
    edits: [
      {
        file: 'src/client/effects/send-paid.ts',
        find: "{ type: error.left ? 'OUTCOME_UNKNOWN' : 'CONNECTION_FAILED', reason: error.message }",
        replace: "{ type: 'CHALLENGE_EXPIRED' }",
      },
    ],
    at: ['paid send', 'answer to voucher lost'],
    caught: 'doublePaid',
  },
  {
    name: 'a voucher authorises more than the policy lets be exposed',
    edits: [
      {
        file: 'src/client/effects/sign-voucher.ts',
        find: 'const { placed, lease, record, view, plan } = authorised',
        replace:
          'const { placed, lease, record, view } = authorised\n  const plan = { ...authorised.plan, cumulative: (BigInt(authorised.plan.cumulative) + 200_000n).toString() }',
      },
      {
        file: 'src/client/effects/sign-voucher.ts',
        find: '    holdVoucherLimit(input.context.limits, view, plan.cumulative)',
        replace: '',
      },
    ],
    at: ['voucher', 'after write of voucher'],
    caught: 'problems',
  },
  {
    name: 'channels that only the chain knows are not looked for',
    edits: [
      {
        file: 'src/client/recover.ts',
        find: 'placesToSearch(runtime, records, options).map(',
        replace: '[].map(',
      },
    ],
    at: ['open', 'after send of open, then the records are gone'],
    caught: 'lost',
  },
  {
    name: 'a close is taken for done though the chain does not show it',
    edits: [
      {
        file: 'src/client/effects/reconcile.ts',
        find: "return apply({ type: 'CLOSE_ABANDONED' })",
        replace: "return apply({ type: 'CLOSE_CONFIRMED', settled: '0', refunded: '0' })",
      },
    ],
    at: ['close', 'after write of closing'],
    caught: 'lost',
  },
  {
    name: 'a record has its name before it is on the disk',
    edits: [
      {
        file: 'src/sessions/file-store.ts',
        find: '      await file.write(fileText(key, after))\n      await file.close()\n      placed = await layer.rename(at(temporary), at(recordFile(stem)))\n',
        replace:
          '      placed = await layer.rename(at(temporary), at(recordFile(stem)))\n      await file.write(fileText(key, after))\n      await file.close()\n',
      },
    ],
    at: ['voucher', 'write 2 of the disk is torn'],
    caught: 'problems',
  },
]
