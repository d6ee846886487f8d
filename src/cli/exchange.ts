// Shows what passes between client and gateway, line by line, as it happens.
// Must never show a body, a query value, a credential, or a header that is not known to be harmless.

import { parseChallenges, parseCredential, parseReceipt, parseSessionRequest } from '../protocol/index.js'
import { inTokens, namedAmount } from './money.js'
import type { Colors } from './transition-words.js'

/** Headers whose values hold no secret. All others are named, and their values cut. */
const HARMLESS: ReadonlySet<string> = new Set([
  'accept',
  'cache-control',
  'connection',
  'content-encoding',
  'content-language',
  'content-length',
  'content-type',
  'date',
  'keep-alive',
  'payment-receipt',
  'payment-session-snapshot',
  'retry-after',
  'server',
  'transfer-encoding',
  'user-agent',
  'vary',
  'www-authenticate',
  'x-request-id',
])

const LONGEST_VALUE = 160

type Fetch = typeof globalThis.fetch

/** The global fetch, with every exchange shown. */
export function showingFetch(note: (line: string) => void, { dim, bold }: Colors): Fetch {
  return async (input, init) => {
    const request = { url: urlOf(input), method: init?.method ?? 'GET', headers: new Headers(init?.headers) }
    note(`${bold('>')} ${request.method} ${pathOf(request.url)}`)
    for (const line of headerLines(request.headers)) note(`${bold('>')} ${dim(line)}`)
    note(`${bold('>')} ${dim(bodyLine(init?.body))}`)
    try {
      const response = await globalThis.fetch(input, init)
      note(`${bold('<')} HTTP ${response.status}`)
      for (const line of headerLines(response.headers)) note(`${bold('<')} ${dim(line)}`)
      for (const line of meaningOf(response)) note(`${bold('<')} ${line}`)
      return response
    } catch (error) {
      note(`${bold('<')} no answer`)
      throw error
    }
  }
}

function urlOf(input: Parameters<Fetch>[0]): URL {
  return new URL(input instanceof Request ? input.url : String(input))
}

/** The path, and the names of the query without what they are set to. */
/** Without the query: its names can hold secrets as well as its values. */
function pathOf({ origin, pathname, search }: URL): string {
  return `${origin}${pathname}${search === '' ? '' : '?…'}`
}

function bodyLine(body: RequestInit['body']): string {
  const bytes = body instanceof Uint8Array ? body.byteLength : null
  if (body === undefined || body === null) return '[no body]'
  return bytes === null ? '[body]' : `[body of ${bytes} bytes]`
}

function headerLines(headers: Headers): string[] {
  return [...headers].map(([name, value]) => `${name}: ${shown(name, value)}`)
}

function shown(name: string, value: string): string {
  if (name === 'authorization') return credentialIn(value)
  if (!HARMLESS.has(name) && !name.startsWith('access-control-')) return '[cut]'
  const text = printable(value)
  return text.length <= LONGEST_VALUE ? text : `${text.slice(0, LONGEST_VALUE)}… (${text.length} characters)`
}

/** What the challenges and the receipt of an answer say, in words. */
function meaningOf({ status, headers }: Response): string[] {
  const list = status === 402 ? parseChallenges(headers.get('www-authenticate')) : null
  const offered = (list?.ok === true ? list.value.challenges : []).map((challenge) => {
    const terms = parseSessionRequest(challenge)
    if (!terms.ok)
      return `[challenge: ${printable(`${challenge.method}/${challenge.intent}`)}, not one that is paid here]`
    const { amount, unitType, chainId, recipient, currency } = terms.value
    const each = printable(unitType ?? 'voucher bucket')
    return `[challenge: tempo/session, ${namedAmount(amount, currency)} for each ${each}, chain ${chainId}, payee ${recipient}]`
  })
  const receipt = parseReceipt(headers.get('payment-receipt'))
  if (!receipt.ok) return offered
  const { acceptedCumulative, spent } = receipt.value
  return [...offered, `[receipt: up to ${inTokens(acceptedCumulative)} accepted, ${inTokens(spent)} spent]`]
}

/** What a server sends must not steer the terminal. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}

/** What a payment credential is for, without what makes it one. */
function credentialIn(value: string): string {
  const read = parseCredential(value)
  if (!read.ok) return '[cut]'
  const { payload } = read.value
  const amount =
    'cumulativeAmount' in payload
      ? `up to ${inTokens(payload.cumulativeAmount)}`
      : `${inTokens(payload.additionalDeposit)} more`
  return `Payment [cut: ${payload.action}, ${amount}, channel ${payload.channelId}]`
}
