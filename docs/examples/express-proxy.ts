// A proxy that pays on behalf of its callers: they speak plain OpenAI to it, with a token instead of a wallet.
// Must never forward anywhere but to the one paid route, nor serve a caller who does not have the token.

import { timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import express from 'express'
import { createMppClient, describeFailure } from '../../src/index.js'
import { exampleGateway } from './gateway.js'

const { PROXY_TOKEN = '', PORT = '0' } = process.env
if (PROXY_TOKEN.length < 16)
  throw new Error('put at least 16 characters into PROXY_TOKEN: who has it spends your money')
const expected = Buffer.from(`Bearer ${PROXY_TOKEN}`)

const gateway = await exampleGateway()
const mpp = createMppClient({ ...gateway.payer, policy: { maxTotalDeposit: '5', allowedOrigins: [gateway.url] } })

const app = express()
app.disable('x-powered-by')

app.post('/v1/chat/completions', (request, response, next) => {
  const given = Buffer.from(request.get('authorization') ?? '')
  if (given.length === expected.length && timingSafeEqual(given, expected)) return next()
  response.status(401).json({ error: { code: 'invalid_api_key', message: 'The token of this proxy is needed.' } })
})

app.post('/v1/chat/completions', express.raw({ type: () => true, limit: '1mb' }), async (request, response) => {
  const body: unknown = request.body
  const outcome = await mpp.pay(`${gateway.url}/v1/mpp/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: body instanceof Uint8Array ? Uint8Array.from(body) : '',
  })
  if (outcome.status === 'failed') {
    const { failure } = outcome
    // The caller learns why; the wallet's own affairs stay here. 402, because SDKs repeat what says 429 or 5xx.
    console.error(describeFailure(failure))
    response.status(402).set('x-should-retry', 'false')
    response.json({ error: { code: failure.code, type: 'payment_flow_error', message: failure.advice } })
    return
  }
  const answer = outcome.response
  response.status(answer.status).type(answer.headers.get('content-type') ?? 'application/octet-stream')
  if (!answer.ok) response.set('x-should-retry', 'false')
  response.end(new Uint8Array(await answer.arrayBuffer()))
})

const server = createServer(app).listen(Number(PORT), '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object') console.log(`paying for http://127.0.0.1:${address?.port}/v1/chat/completions`)
})

async function stop(): Promise<void> {
  // Requests that run are finished first: they are paid for.
  await new Promise((resolve) => server.close(resolve))
  await gateway.leave(mpp)
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop())
