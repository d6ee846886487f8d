// Puts reports into words, and paints them.
// Must never say more than a report says: names, codes and amounts.

import type pc from 'picocolors'
import { CODE_FACTS, type FailureCode, MPP_CODES } from '../../../machines/index.js'
import { lastPart } from './crowd.js'
import type { Paint } from './flow-lines.js'
import { METER_MARKS, meter } from './meter.js'
import { inTokens } from './money.js'
import type { ChannelFigures, SettingReport, TransitionReport } from './reports.js'

export type Colors = Omit<typeof pc, 'createColors'>

/** The answer to an unpaid request: how a payment begins, not a refusal. */
const FIRST_CHALLENGE = 'payment_required'

const CODES: ReadonlySet<string> = new Set(MPP_CODES)

function isRefusal(event: string): event is FailureCode {
  return CODES.has(event) && event !== FIRST_CHALLENGE
}

/** Whether an event is a code of the gateway. */
export function isCode(event: string): boolean {
  return CODES.has(event)
}

export interface Wording {
  /** The gateway refused, and why; null when it did not. */
  refusal(transition: TransitionReport): string | null
  /** What was signed, moved or settled; null when nothing was. */
  deed(transition: TransitionReport): string | null
  /** An answer that is no success, as one word of a line; null for other events. */
  answer(transition: TransitionReport): { readonly word: string; readonly paint: Paint } | null
  state(state: string): { readonly word: string; readonly paint: Paint }
  /** A channel as a bar and in figures. */
  channel(figures: ChannelFigures): string
  /** Where the story takes place: names and what they stand for. */
  setting(setting: SettingReport): readonly (readonly [name: string, text: string])[]
}

export function createWording({ bold, dim, green, yellow, red }: Colors): Wording {
  const done = (text: string): string => `${green('✓')} ${text}`
  const plain: Paint = (text) => text
  const alarming: Paint = (text) => red(bold(text))

  return {
    refusal({ event, httpStatus }) {
      if (!isRefusal(event)) return null
      const code = yellow(bold(`${httpStatus ?? ''} ${event}`.trim()))
      return `${red('✗')} ${code}  ${dim(CODE_FACTS[event].meaning)}`
    },
    deed({ event, ...amounts }) {
      const { cumulative = '0', deposit = '0', additionalDeposit = '0', depositAfter = '0' } = amounts
      const { settled = '0', refunded = '0' } = amounts
      switch (event) {
        case 'APPROVE':
          return done(`asked before ${inTokens(amounts.deposit ?? additionalDeposit)} move into the channel: allowed`)
        case 'OPEN_SIGNED':
          return done(`signed: a deposit of ${inTokens(deposit)}, and a first voucher up to ${inTokens(cumulative)}`)
        case 'VOUCHER_SIGNED':
          return done(`signed: the next voucher, up to ${inTokens(cumulative)}`)
        case 'TOPPED_UP':
          return done(
            `topped up by ${inTokens(additionalDeposit)}: the chain shows a deposit of ${inTokens(depositAfter)}`,
          )
        case 'CLOSE_CONFIRMED':
          return done(
            `settled on the chain: ${inTokens(settled)} to the payee, ${inTokens(refunded)} back to the payer`,
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
    channel(figures) {
      const bar = meter(figures)
      const { spent, signed, deposit } = figures
      const text = `spent ${inTokens(spent)}, signed ${inTokens(signed)}, deposit ${inTokens(deposit)}`
      return `${green(bar.spent)}${yellow(bar.authorised)}${dim(bar.deposited)}  ${dim(text)}`
    },
    setting({ gateway, chainId, pricePerToken, bucket, suggestedDeposit, maxDeposit, payer, payerBalance }) {
      const price = `${inTokens(pricePerToken)} a token, in voucher buckets of ${inTokens(bucket)}`
      const balance = `${short(payer)} holds ${inTokens(payerBalance)} pathUSD`
      const { spent, authorised, deposited } = METER_MARKS
      return [
        ['gateway', gateway],
        ['chain', `Tempo, chain id ${chainId}, running on this machine for this demo only`],
        ['price', `${price}; suggests deposits of ${inTokens(suggestedDeposit)}`],
        ['payer', `${balance}; puts at most ${inTokens(maxDeposit)} into a channel`],
        [
          'channel',
          `${green(spent)} spent   ${yellow(authorised)} authorised by a voucher   ${dim(deposited)} deposited`,
        ],
      ]
    },
  }
}

/** `0xf39f…2266` */
function short(hex: string): string {
  return hex.length > 12 ? `${hex.slice(0, 6)}…${hex.slice(-4)}` : hex
}
