// An agent that pays its own way: each turn is one XState actor, and a person is asked before funds move.
// Must never take silence, a closed terminal or a broken prompt for an approval.

import confirm from '@inquirer/confirm'
import { formatUnits } from 'viem'
import { z } from 'zod'
import { stateName } from '../../machines/index.js'
import { createMppClient, describeFailure, type PaymentIntent, type PaymentOutcome } from '../../src/index.js'
import { exampleGateway } from './gateway.js'

const TASKS = ['Name a tree.', 'And where does it grow?', 'Thank you. Say goodbye.']
const message = z.object({ role: z.string(), content: z.string() })
const completion = z.object({ choices: z.tuple([z.object({ message })], z.unknown()) })

const gateway = await exampleGateway()
const mpp = createMppClient({
  ...gateway.payer,
  policy: { maxDeposit: '5', maxCumulative: '3', allowedOrigins: [gateway.url], approve },
})

/** Asks on the terminal; without one, APPROVE=yes decides. */
async function approve({ action, deposit, payee, origin }: PaymentIntent): Promise<boolean> {
  const question = `${action}: move ${formatUnits(BigInt(deposit), 6)} into a channel with ${payee} (${origin})?`
  if (process.stdin.isTTY) return confirm({ message: question, default: false }).catch(() => false)
  const answer = process.env.APPROVE === 'yes'
  console.error(`${question} ${answer ? 'yes' : 'no'}, says APPROVE`)
  return answer
}

/** One paid request, as the actor that it is. */
async function turn(messages: readonly object[]): Promise<PaymentOutcome> {
  const body = JSON.stringify({ model: process.env.MODEL ?? 'sandbox-small', max_tokens: 64, messages })
  const flow = mpp.createFlow(`${gateway.url}/v1/mpp/chat/completions`, { method: 'POST', body })
  flow.subscribe(({ value }) => console.error(`  ${stateName(value)}`))
  const cancel = (): void => flow.send({ type: 'CANCEL' })
  process.once('SIGINT', cancel)
  flow.start()
  try {
    return await mpp.outcomeOf(flow)
  } finally {
    process.off('SIGINT', cancel)
  }
}

const messages: object[] = []
try {
  for (const content of TASKS) {
    messages.push({ role: 'user', content })
    const outcome = await turn(messages)
    if (outcome.status === 'failed') {
      console.error(describeFailure(outcome.failure))
      process.exitCode = 1
      break
    }
    const [choice] = completion.parse(await outcome.response.json()).choices
    messages.push(choice.message)
    console.log(`${choice.message.content} [spent so far: ${outcome.receipt?.spent ?? 'unknown'}]`)
  }
} finally {
  await gateway.leave(mpp)
}
