// Puts the demo's reports into words, and paints them.
// Must never say more than a report says: names, codes and amounts.

import { inTokens } from '../money.js'
import { type Colors, createTransitionWords, type TransitionWords } from '../transition-words.js'
import { BAR_MARKS, barOf } from './bar.js'
import type { ChannelFigures, SettingReport } from './reports.js'

export interface Wording extends TransitionWords {
  /** A channel as a bar and in figures. */
  channel(figures: ChannelFigures): string
  /** Where the scenario runs: names and what they stand for. */
  setting(setting: SettingReport): readonly (readonly [name: string, text: string])[]
}

export function createWording(colors: Colors): Wording {
  const { dim, green, yellow } = colors
  return {
    ...createTransitionWords(colors),
    channel(figures) {
      const bar = barOf(figures)
      const { spent, signed, deposit } = figures
      const text = `spent ${inTokens(spent)}, signed ${inTokens(signed)}, deposit ${inTokens(deposit)}`
      return `${green(bar.spent)}${yellow(bar.authorised)}${dim(bar.deposited)}  ${dim(text)}`
    },
    setting({ gateway, chainId, pricePerToken, bucket, suggestedDeposit, maxDeposit, payer, payerBalance }) {
      const price = `${inTokens(pricePerToken)} a token, in voucher buckets of ${inTokens(bucket)}`
      const balance = `${short(payer)} holds ${inTokens(payerBalance)} pathUSD`
      const { spent, authorised, deposited } = BAR_MARKS
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
