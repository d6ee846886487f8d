// Runs in a browser: the client itself, paying, inspected by createBrowserInspector.
// Must never keep a key that it was not handed by its test.
import { createBrowserInspector } from '@statelyai/inspect'
import { privateKeyToAccount } from 'viem/accounts'
import { createMppClient } from '../../../src/index.js'

/** What a test hands to the page. */
export interface Order {
  readonly privateKey: `0x${string}`
  /** Where the inspector's window is. */
  readonly inspector: string
  readonly headers: Readonly<Record<string, string>>
  readonly bodies: readonly string[]
}

/** What the page tells its test. */
export interface Told {
  readonly name: string
  readonly trace: readonly { readonly state: string; readonly event: string }[]
  readonly text: string
}

declare global {
  interface Window {
    order?: (order: Order) => Promise<readonly Told[]>
  }
}

window.order = async ({ privateKey, inspector, headers, bodies }) => {
  // Its default also limits how many members of an object are kept: ten.
  const { inspect } = createBrowserInspector({ url: inspector, serializationDepthLimit: 100 })
  const mpp = createMppClient({
    account: privateKeyToAccount(privateKey),
    // Both through the server of this page: a browser asks other origins only where they allow it.
    rpcUrl: `${location.origin}/rpc`,
    inspect,
  })
  const told: Told[] = []
  for (const body of bodies) {
    const actor = mpp.createFlow(`${location.origin}/v1/mpp/chat/completions`, { method: 'POST', headers, body })
    actor.start()
    const outcome = await mpp.outcomeOf(actor)
    told.push({ name: actor.id, trace: outcome.trace, text: (await outcome.response?.text()) ?? '' })
  }
  for (const { channelId } of await mpp.sessions.list()) await mpp.sessions.close(channelId)
  return told
}
