// The program of the test's web page: pays for a chat, closes the channel and tells what it saw.
// Must never import anything but the package and viem: it is bundled as a user's own page would be.

import { createMppClient } from 'mpp-flow'
import { privateKeyToAccount } from 'viem/accounts'

globalThis.payFromPage = async ({ chat, rpcUrl, key, prompts, globals }) => {
  const mpp = createMppClient({ account: privateKeyToAccount(key), rpcUrl })
  const outcomes = []
  for (const content of prompts) {
    const outcome = await mpp.pay(chat, {
      method: 'POST',
      headers: { authorization: 'Bearer must-not-travel' },
      body: JSON.stringify({ model: 'sandbox-small', max_tokens: 32, messages: [{ role: 'user', content }] }),
    })
    const { status, receipt, authorised, trace } = outcome
    const object = status === 'succeeded' ? (await outcome.response.json()).object : outcome.failure.code
    outcomes.push({ status, object, spent: receipt?.spent, authorised, states: trace.map(({ state }) => state) })
  }
  const [session] = await mpp.sessions.list()
  const close = session === undefined ? undefined : await mpp.sessions.close(session.channelId)
  return {
    outcomes,
    closed: close?.status === 'closed' ? close.settlement : (close?.failure ?? null),
    globals: globals.map((name) => typeof globalThis[name]),
  }
}
