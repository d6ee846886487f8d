// Channels as people read them: a row each, or all that is known of one.
// Must never leave out an amount that is at stake, nor round one.

import Table from 'cli-table3'
import { tokenName } from '../../../machines/index.js'
import type { SessionSummary, TokenTotals } from '../../client/index.js'
import { inTokens, namedToken } from '../money.js'
import type { Colors } from '../transition-words.js'

const PLAIN = { head: [], border: [], compact: true }

/** `0xf39f0102…`: as much as tells channels apart, and enough to name one to a command. */
function short(channelId: string): string {
  return `${channelId.slice(0, 12)}…`
}

function moment(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z')
}

/** One row per channel. Amounts in tokens. */
export function channelTable(sessions: readonly SessionSummary[], { bold }: Colors): string {
  const table = new Table({
    head: [
      'channel',
      'status',
      'token',
      'deposit',
      'signed',
      'accepted',
      'spent',
      'refundable',
      'last used',
      'resource',
    ].map(bold),
    colAligns: ['left', 'left', 'left', 'right', 'right', 'right', 'right', 'right', 'left', 'left'],
    style: PLAIN,
  })
  for (const session of sessions) {
    const { channelId, deposit, signed, accepted, spent, refundable, usedAt, resource } = session
    table.push([
      short(channelId),
      statusOf(session),
      shortToken(session.token),
      ...[deposit, signed, accepted, spent, refundable].map(inTokens),
      moment(usedAt),
      resource ?? '–',
    ])
  }
  return `${table.toString()}\n`
}

/** Its name, or as much of its address as tells tokens apart: they begin alike. */
function shortToken(token: string): string {
  const name = tokenName(token)
  return name === token ? `${token.slice(0, 6)}…${token.slice(-4)}` : name
}

function statusOf({ status, pending, adopted }: SessionSummary): string {
  const more = [pending === null ? null : `${pending} pending`, adopted ? 'from the chain' : null]
  const said = more.filter((part) => part !== null)
  return said.length === 0 ? status : `${status} (${said.join(', ')})`
}

/** One line per token. Amounts in tokens. */
export function totalsLines(totals: readonly TokenTotals[]): string {
  return totals
    .map(({ chainId, token, live, atStake, refundable }) => {
      const what = `${live} live ${live === 1 ? 'channel' : 'channels'}`
      return `${what} in ${namedToken(token)} on chain ${chainId}: ${inTokens(atStake)} at stake, ${inTokens(refundable)} refundable\n`
    })
    .join('')
}

/** All that is known of one channel. Amounts in tokens. */
export function channelFacts(session: SessionSummary, { dim }: Colors): string {
  const { deposit, signed, accepted, spent, settled, refundable, refunded, withdrawableAt, usedAt, ...names } = session
  const facts: readonly (readonly [string, string | number | null])[] = [
    ['channel', names.channelId],
    ['status', names.status],
    ['pending', names.pending],
    ['resource', names.resource],
    ['chain', names.chainId],
    ['escrow', names.escrow],
    ['token', namedToken(names.token)],
    ['payer', names.payer],
    ['payee', names.payee],
    ['deposit', inTokens(deposit)],
    ['signed', inTokens(signed)],
    ['accepted', inTokens(accepted)],
    ['spent', inTokens(spent)],
    ['settled', inTokens(settled)],
    ['refundable', inTokens(refundable)],
    ['refunded', refunded === null ? null : inTokens(refunded)],
    ['withdrawable', withdrawableAt === null ? null : moment(withdrawableAt * 1000)],
    ['known from', names.adopted ? 'the chain: more may have been signed than is known here' : 'this ledger'],
    ['last used', moment(usedAt)],
  ]
  return facts.map(([name, value]) => `${dim(name.padEnd(13))} ${value ?? '–'}\n`).join('')
}
