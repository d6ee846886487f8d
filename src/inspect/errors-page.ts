// Writes docs/errors.md from the catalogue of codes.
// Must never know a code by itself: what it says is read from the machines.

import {
  ERROR_CODES,
  type ErrorCode,
  type FailureCode,
  type LeadsTo,
  LOCAL_CODES,
  MPP_CODES,
  PROBLEM_TYPES,
} from '../../machines/index.js'

const LEADS_TO: Readonly<Record<LeadsTo, string>> = {
  'top-up': 'the channel is topped up, then the same bytes are sent again',
  'voucher-refresh': 'the next voucher is signed (the channel is topped up first if it would pass the deposit)',
  're-challenge': 'a fresh challenge is answered, with the voucher as it is',
  'next-offer': 'while nothing is signed, the next acceptable challenge of the same answer is taken, if there is one',
  're-plan': 'what must be authorised is planned anew from the channel as it is now',
  wait: 'the challenge is answered after the pause that the server asked for',
  resend: 'after a pause the very same credential is sent again; nothing new is signed',
  'retry-close': 'after a pause the close credential is sent again',
  reconcile: 'the chain is asked about the channel, then a fresh challenge is answered',
  'ask-chain-again':
    'after a pause that doubles each time the chain is asked again; what is signed by then is sent again, never signed anew',
  terminal: 'the flow ends in `failed`',
}

function anchor(code: string): string {
  return `\`${code}\``
}

function row({ code, meaning, leadsTo, bound, retryable, advice }: ErrorCode): string {
  return `| ${anchor(code)} | ${meaning} | ${leadsTo} | ${bound} | ${retryable ? 'yes' : 'no'} | ${advice} |`
}

function table(codes: readonly FailureCode[]): string {
  const head = [
    '| code | what happened | leads to | bound | retryable | what to do |',
    '| --- | --- | --- | --- | --- | --- |',
  ]
  return [...head, ...codes.map((code) => row(ERROR_CODES[code]))].join('\n')
}

const README_TABLE = /(<!-- codes -->\n)[\s\S]*?(\n<!-- \/codes -->)/

/**
 * README with the table of the gateway's codes as the machines have it.
 *
 * @throws Error when README has no place for it.
 */
export function readmeWithCodes(readme: string): string {
  if (!README_TABLE.test(readme)) throw new Error('README.md has no <!-- codes --> … <!-- /codes -->')
  const rows = MPP_CODES.map((code) => {
    const { meaning, leadsTo, bound } = ERROR_CODES[code]
    return `| \`${code}\` | ${meaning} | ${leadsTo}${bound > 0 ? `, at most ${bound === 1 ? 'once' : `${bound} times`}` : ''} |`
  })
  const table = ['| code | what happened | leads to |', '| --- | --- | --- |', ...rows].join('\n')
  return readme.replace(README_TABLE, (_, open: string, close: string) => `${open}\n${table}\n${close}`)
}

/** The whole page. */
export function errorsPage(): string {
  const legend = Object.entries(LEADS_TO).map(([name, meaning]) => `- **${name}**: ${meaning}`)
  return `# Error codes

This page is generated from the machines (\`npm run docs\`); a check fails when it is stale.

Every code is an event of the payment-flow machine. *Bound* is how often one flow may take the recovery; when it is used up, or a limit of the policy would be crossed, the flow ends in \`failed\` with a code, the advice of this page, references, and what was authorised. *Retryable* says whether the same call may succeed later without anything being changed.

${legend.join('\n')}

In code: \`ERROR_CODES\` of \`mpp-flow/machines\`.

## Codes of Ando's gateway

${table(MPP_CODES)}

## Standard problem types

What follows \`https://paymentauth.org/problems/\`.

${table(PROBLEM_TYPES)}

## Found on this side

${table(LOCAL_CODES)}

A voucher that is refused while other requests of the channel are under way may only mean that they came first: such refusals are counted apart, and after the second one the flow waits for its turn.

## Account-owned routes

| HTTP | product state | what the client does |
| --- | --- | --- |
| 401 | \`reconnectRequired\` | asks for a new key and retests it with \`GET /v1/models\` |
| 402 | \`spendLimitReached\` | keeps the prompt in memory for the user's retry |
| 403 | \`policyBlocked\` | refreshes \`GET /v1/models\` so that an allowed model can be chosen |
| 429 | \`rateLimited\` | tells when to try again; never repeats by itself |
| 5xx | \`temporarilyUnavailable\` | backs off exponentially, a bounded number of times, and keeps the request id |
`
}
