// Puts transitions into words, and paints them.
// Must never say more than a transition says: names, codes and amounts.

import type pc from 'picocolors'
import { CODE_FACTS, MPP_CODES, type MppCode, PROBLEM_TYPES, type ProblemType } from '../../machines/index.js'
import { inTokens, namedAmount } from './money.js'
import type { Transition } from './transitions.js'

/** Something that is painted with colours that do not count as width. */
export type Paint = (text: string) => string

export type Colors = Omit<typeof pc, 'createColors'>

/** The answers to an unpaid request: how a payment begins, not refusals. */
const FIRST_CHALLENGES: ReadonlySet<string> = new Set(['payment_required', 'payment-required'])

const CODES: ReadonlySet<string> = new Set([...MPP_CODES, ...PROBLEM_TYPES])

function isRefusal(event: string): event is MppCode | ProblemType {
  return CODES.has(event) && !FIRST_CHALLENGES.has(event)
}

/** Whether an event is a code or problem type of a gateway. */
export function isCode(event: string): boolean {
  return CODES.has(event)
}

export interface TransitionWords {
  /** The gateway refused, and why; null when it did not. */
  refusal(transition: Transition): string | null
  /** What was signed, moved or settled; null when nothing was. */
  deed(transition: Transition): string | null
  /** An answer that is no success, as one word of a line; null for other events. */
  answer(transition: Transition): { readonly word: string; readonly paint: Paint } | null
  state(state: string): { readonly word: string; readonly paint: Paint }
}

/** `authorizing.planning` → `planning`. */
export function lastPart(state: string): string {
  return state.slice(state.lastIndexOf('.') + 1)
}

export function createTransitionWords({ bold, dim, green, yellow, red }: Colors): TransitionWords {
  const done = (text: string): string => `${green('✓')} ${text}`
  const plain: Paint = (text) => text
  const alarming: Paint = (text) => red(bold(text))

  return {
    refusal({ event, httpStatus }) {
      if (!isRefusal(event)) return null
      const code = yellow(bold(`${httpStatus ?? ''} ${event}`.trim()))
      return `${red('✗')} ${code}  ${dim(CODE_FACTS[event].meaning)}`
    },
    deed({ event, token = null, ...amounts }) {
      const { cumulative = '0', deposit = '0', additionalDeposit = '0', depositAfter = '0' } = amounts
      const { settled = '0', refunded = '0' } = amounts
      switch (event) {
        case 'APPROVE':
          return done(
            `asked before ${namedAmount(amounts.deposit ?? additionalDeposit, token)} move into the channel: allowed`,
          )
        case 'OPEN_SIGNED':
          return done(
            `signed: a deposit of ${namedAmount(deposit, token)}, and a first voucher up to ${inTokens(cumulative)}`,
          )
        case 'VOUCHER_SIGNED':
          return done(`signed: the next voucher, up to ${namedAmount(cumulative, token)}`)
        case 'TOPPED_UP':
          return done(
            `topped up by ${namedAmount(additionalDeposit, token)}: the chain shows a deposit of ${inTokens(depositAfter)}`,
          )
        case 'CLOSE_CONFIRMED':
          return done(
            `settled on the chain: ${namedAmount(settled, token)} to the payee, ${inTokens(refunded)} back to the payer`,
          )
        default:
          return null
      }
    },
    answer({ event, httpStatus = 0 }) {
      return httpStatus >= 400 ? { word: `${httpStatus} ${event}`, paint: yellow } : null
    },
    state(state) {
      const ended = state === 'succeeded' || state === 'closed' ? green : plain
      return { word: lastPart(state), paint: state === 'failed' ? alarming : ended }
    },
  }
}
