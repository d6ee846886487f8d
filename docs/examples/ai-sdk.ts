// The AI SDK with its OpenAI-compatible provider, paying per request.
// Must never stream: the paid route answers in one piece.

import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText } from 'ai'
import { createMppClient, PaymentFlowError } from '../../src/index.js'
import { exampleGateway } from './gateway.js'

const gateway = await exampleGateway()
const mpp = createMppClient({ ...gateway.payer, policy: { maxDeposit: '5', allowedOrigins: [gateway.url] } })

const provider = createOpenAICompatible({ name: 'gateway', baseURL: `${gateway.url}/v1/mpp`, fetch: mpp.fetch })

try {
  const { text, usage } = await generateText({
    model: provider(process.env.MODEL ?? 'sandbox-small'),
    maxOutputTokens: 64,
    prompt: 'Name a few trees.',
  })
  console.log(text, `(${usage.totalTokens} tokens)`)
} catch (error) {
  // Thrown as it is, and not repeated by the SDK.
  if (!(error instanceof PaymentFlowError)) throw error
  console.error(error.failure.code, error.message)
  process.exitCode = 1
} finally {
  await gateway.leave(mpp)
}
