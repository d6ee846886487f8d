// Starts a sandbox and the inspector's page for it, with buttons that make the gateway produce every code.
// Must never leave a process or a port behind when it is stopped or fails to start.

import type { InspectionEvent } from 'xstate'
import { inspectLocally, type LocalInspector } from '../../inspect/live/index.js'
import { startSandbox } from '../../sandbox/index.js'
import { buttonsOf } from './buttons.js'
import { createPayer, PRICE_PER_TOKEN } from './payer.js'

export interface InspectSandboxOptions {
  /** Of the page. Default: a free one. */
  readonly port?: number
  /** Whether to open the page in the user's browser. Default true. */
  readonly open?: boolean
}

/** A sandbox with its inspector. */
export interface InspectedSandbox {
  /** Of the page. */
  readonly url: string
  /** Of the gateway, without a trailing slash. */
  readonly gateway: string
  /** Of the chain. */
  readonly rpcUrl: string
  stop(): Promise<void>
}

/** How long an answer takes: long enough that several flows are seen at once. */
const LATENCY_MS = 150

/**
 * Starts both.
 *
 * @throws whatever `startSandbox` throws, such as the line that says what to install; Error when the port is taken.
 */
export async function inspectSandbox(options: InspectSandboxOptions = {}): Promise<InspectedSandbox> {
  const sandbox = await startSandbox({ pricePerToken: PRICE_PER_TOKEN, latencyMs: LATENCY_MS })
  try {
    let inspector: LocalInspector | null = null
    const payer = createPayer(sandbox, (event: InspectionEvent) => inspector?.inspect(event))
    const started = await inspectLocally({
      port: options.port ?? 0,
      open: options.open ?? true,
      title: 'mpp-flow inspector',
      controls: buttonsOf(sandbox, payer),
    })
    inspector = started
    return {
      url: started.url,
      gateway: sandbox.url,
      rpcUrl: sandbox.rpcUrl,
      async stop() {
        await started.stop()
        await sandbox.stop()
      },
    }
  } catch (error) {
    await sandbox.stop()
    throw error
  }
}
