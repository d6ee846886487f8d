// The buttons of the sandbox's inspector: pay, close, and one for each code of the gateway.
// Must never leave a fault behind that nobody asked for without saying so.

import type { PaymentOutcome } from '../../index.js'
import type { Control, Pressing } from '../../inspect/live/index.js'
import type { Sandbox } from '../../sandbox/index.js'
import { CODE_BUTTONS, type CodeButton } from './codes.js'
import { type Payer, told } from './payer.js'

/** A tenth of a bucket. */
const SMALL = 10
/** Two of these do not fit into one bucket. */
const LARGE = 60
const CROWD = 50

/** To a flow that asks before funds move. */
const ANSWERS = [
  { id: 'approve', label: 'Approve', event: 'APPROVE', hint: 'lets the deposit move' },
  { id: 'deny', label: 'Deny', event: 'DENY', hint: 'ends the flow; nothing is signed' },
] as const

/** All buttons, for `inspectLocally`. */
export function buttonsOf(sandbox: Sandbox, payer: Payer): readonly Control[] {
  return [
    {
      id: 'pay',
      label: 'Pay',
      group: 'Do',
      hint: `asks for ${SMALL} tokens and pays for them`,
      run: async ({ look }) => told(await payer.pay(SMALL, look)),
    },
    {
      id: 'ask',
      label: 'Ask first',
      group: 'Do',
      hint: 'opens another channel, and waits for your approval before it does',
      run: async ({ look }) => told(await payer.ask(look)),
    },
    {
      id: 'crowd',
      label: `${CROWD} at once`,
      group: 'Do',
      hint: `${CROWD} requests at the same time, on one channel`,
      run: async () => summary(await Promise.all(Array.from({ length: CROWD }, () => payer.pay(SMALL)))),
    },
    {
      id: 'close',
      label: 'Close channel',
      group: 'Do',
      hint: 'has the channel settled and the rest refunded',
      run: () => payer.close(),
    },
    ...ANSWERS.map(({ id, label, event, hint }) => ({
      id,
      label,
      group: 'Answer',
      hint,
      state: 'authorizing.awaitingApproval',
      async run({ flow }: Pressing) {
        payer.answer(flow, event)
        return 'answered'
      },
    })),
    ...CODE_BUTTONS.map((button) => codeControl(sandbox, payer, button)),
  ]
}

function codeControl(sandbox: Sandbox, payer: Payer, button: CodeButton): Control {
  const { code, how, cause } = button
  return {
    id: code,
    label: code,
    group: 'Codes',
    hint: how,
    code,
    repeatable: cause === 'fault',
    async run(pressing) {
      if (button.needsChannel && payer.tokensLeft() === null) {
        const first = await payer.pay(SMALL)
        if (first.status === 'failed') return `opening a channel ${told(first)}`
      }
      return bringAbout(sandbox, payer, button, pressing)
    },
  }
}

async function bringAbout(
  sandbox: Sandbox,
  payer: Payer,
  { code, cause, closes, timesToUseUp }: CodeButton,
  { repeat, look }: Pressing,
): Promise<string> {
  switch (cause) {
    case 'stream':
      return told(await payer.request({ max_tokens: SMALL, stream: true }, look))
    case 'unpriced':
      return told(await payer.request({}, look))
    case 'used-up bucket':
      // What is left after one of these is less than the next one needs.
      while ((payer.tokensLeft() ?? 0) >= LARGE) {
        const before = await payer.pay(LARGE)
        if (before.status === 'failed') return `using the bucket up ${told(before)}`
      }
      return told(await payer.pay(LARGE, look))
    case 'fault': {
      const times = repeat ? timesToUseUp : 1
      const before = sandbox.accounting().rejections[code] ?? 0
      sandbox.inject(code, { times })
      const result = closes ? await payer.close() : told(await payer.pay(SMALL, look))
      const left = times - ((sandbox.accounting().rejections[code] ?? 0) - before)
      return left > 0 ? `${result}; the gateway still holds ${left} of these for the next request` : result
    }
  }
}

function summary(outcomes: readonly PaymentOutcome[]): string {
  const paid = outcomes.filter(({ status }) => status === 'succeeded').length
  return `${paid} of ${outcomes.length} paid`
}
