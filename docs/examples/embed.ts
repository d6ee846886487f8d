// Pays for one chat completion and closes the channel, as README shows it.
// Must never differ from README but in where it imports from: a test compares the two.

import { createMppClient, formatAmount } from '../../src/index.js'
import { startSandbox } from '../../src/sandbox/index.js'

const sandbox = await startSandbox() // or a gateway of your own
const [account] = sandbox.accounts // any viem account
if (account === undefined) throw new Error('the sandbox has no accounts')

const mpp = createMppClient({
  account,
  rpcUrl: sandbox.rpcUrl,
  policy: { maxDeposit: '5', maxExposure: '2', allowedOrigins: [sandbox.url] },
})
const body = JSON.stringify({ model: 'sandbox-small', max_tokens: 64, messages: [{ role: 'user', content: 'Hello' }] })
const response = await mpp.fetch(`${sandbox.url}/v1/mpp/chat/completions`, { method: 'POST', body })
const { choices } = await response.json()
console.log(choices[0].message.content)

for (const { channelId } of await mpp.sessions.list()) {
  const closed = await mpp.sessions.close(channelId) // the rest of the deposit comes back
  if (closed.status === 'closed') console.log(`it cost ${formatAmount(closed.settlement?.settled ?? '0')} pathUSD`)
}
await sandbox.stop()
