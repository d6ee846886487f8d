// A node that shows neither logs nor receipts: the close is seen, what it settled is not.
// Must never accept a figure that nobody has seen.
import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { chat, type Stage, setStage } from './stage.js'

let stage: Stage
let silent: Server
let rpcUrl: string

beforeAll(async () => {
  stage = await setStage(10)
  // Everything but logs and receipts comes from the real chain.
  silent = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString()
    const { id, method } = JSON.parse(body)
    const hidden = method === 'eth_getLogs' ? [] : method === 'eth_getTransactionReceipt' ? null : undefined
    const headers = { 'content-type': 'application/json' }
    const answer =
      hidden === undefined
        ? await (await fetch(stage.chain.rpcUrl, { method: 'POST', headers, body })).text()
        : JSON.stringify({ jsonrpc: '2.0', id, result: hidden })
    response.writeHead(200, headers).end(answer)
  })
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const address = silent.address()
  if (address === null || typeof address === 'string') throw new Error('the node has no port')
  rpcUrl = `http://127.0.0.1:${address.port}`
})
afterAll(async () => {
  silent.closeAllConnections()
  await new Promise((resolve) => silent.close(resolve))
  await stage.stop()
})

it('ends as closed, without a settlement that was not seen, and nothing is left to close', async () => {
  const gateway = await stage.gateway()
  const mpp = stage.client(stage.payer(), { rpcUrl })
  await mpp.pay(gateway.chat, chat(500))
  const [session] = await mpp.sessions.list()
  const outcome = await mpp.sessions.close(session?.channelId ?? '')
  expect(outcome).toMatchObject({ status: 'closed', settlement: null })
  expect(await mpp.sessions.list()).toMatchObject([{ status: 'lost', refunded: null, refundable: '0' }])
  expect(gateway.accounting().channels).toMatchObject([{ status: 'closed', captured: '100000' }])
})
