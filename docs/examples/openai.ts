// The `openai` package, paying per request: `fetch: mpp.fetch` is all there is to it.
// Must never need an API key: the SDK asks for one, and mpp.fetch takes it off.

import OpenAI from 'openai'
import { createMppClient } from '../../src/index.js'
import { exampleGateway } from './gateway.js'

const gateway = await exampleGateway()
const mpp = createMppClient({ ...gateway.payer, policy: { maxDeposit: '5', allowedOrigins: [gateway.url] } })

const openai = new OpenAI({ baseURL: `${gateway.url}/v1/mpp`, apiKey: 'none', fetch: mpp.fetch })

try {
  const completion = await openai.chat.completions.create({
    model: process.env.MODEL ?? 'sandbox-small',
    max_tokens: 64,
    messages: [{ role: 'user', content: 'Name a few trees.' }],
  })
  console.log(completion.choices[0]?.message.content)
} catch (error) {
  if (!(error instanceof OpenAI.APIError)) throw error
  // What went wrong, what was authorised and what to do next. The SDK was told not to repeat it.
  console.error(error.code, error.message)
  process.exitCode = 1
} finally {
  await gateway.leave(mpp)
}
