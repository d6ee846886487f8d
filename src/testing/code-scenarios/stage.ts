// Sets the stage of one scenario: a fresh gateway on a shared chain, a wire before it, a client with a fresh ledger.
// Must never be left standing: whoever sets it stops it.

import type { LocalAccount } from 'viem'
import { add, paymentFlowMachine } from '../../../machines/index.js'
import { clientRunning } from '../../client/create-client.js'
import type { Policy } from '../../client/index.js'
import type { GatewayOptions, LocalChain } from '../../sandbox/index.js'
import { startSandbox } from '../../sandbox/index.js'
import { memoryStore } from '../../sessions/index.js'
import { hurriedClock } from '../hurried-clock.js'
import { startWire, type WireExchange } from '../wire.js'
import { PRICE_PER_TOKEN } from './requests.js'
import type { FlowRun, Stage } from './scenario.js'

/** Where a stage stands and who plays on it. */
export interface Ground {
  readonly chain: LocalChain
  /** Funded, and without a channel at the gateway. */
  readonly payer: LocalAccount
  /** Called with every exchange before the client gets its answer. */
  readonly observe?: (stage: Stage, exchange: WireExchange) => Promise<void>
}

export interface SetStage extends Stage {
  /** Every flow that was run, in order. */
  readonly flows: readonly FlowRun[]
  stop(): Promise<void>
}

const PATH = '/v1/mpp/chat/completions'

/** Sets a stage. Scenarios run with the client's default policy unless one is given. */
export async function setStage(
  { chain, payer, observe }: Ground,
  options: GatewayOptions = {},
  policy?: Policy,
): Promise<SetStage> {
  const gateway = await startSandbox({ chain, pricePerToken: PRICE_PER_TOKEN, ...options })
  const wire = await startWire({
    target: gateway.url,
    observe: async (exchange) => observe?.(stage, exchange),
  })
  const store = memoryStore()
  const client = clientRunning(
    paymentFlowMachine,
    { account: payer, rpcUrl: gateway.rpcUrl, store, ...(policy !== undefined && { policy }) },
    hurriedClock(),
  )
  const flows: FlowRun[] = []
  let ledgerDeposit: string | undefined

  async function note(run: () => Promise<Omit<FlowRun, 'exchanges'>>): Promise<FlowRun> {
    const before = wire.exchanges.length
    const overstated = ledgerDeposit === undefined ? {} : { ledgerDeposit }
    ledgerDeposit = undefined
    const ended = await run()
    // `Omit` forgets which members belong together; nothing was taken away but the exchanges.
    const flow = { ...ended, ...overstated, exchanges: wire.exchanges.slice(before) } as FlowRun
    flows.push(flow)
    return flow
  }

  const stage: SetStage = {
    chain,
    gateway,
    wire,
    client,
    store,
    flows,
    pay: (request) =>
      note(async () => ({ kind: 'pay', request, outcome: await client.pay(`${wire.url}${PATH}`, { ...request }) })),
    close: () =>
      note(async () => {
        const [session] = await client.sessions.list()
        return { kind: 'close', outcome: await client.sessions.close(session?.channelId ?? '') }
      }),
    async overstateDeposit(more) {
      // Its open may still be confirmed beside the answer, and that would overwrite what is written here.
      await client.sessions.list()
      const [record] = await store.list()
      if (record === undefined) throw new Error('there is no channel whose deposit could be overstated')
      const deposit = add(record.session.deposit, more.toString())
      await store.update(record.key, () => ({ ...record, session: { ...record.session, deposit } }))
      ledgerDeposit = deposit
    },
    async stop() {
      await wire.stop()
      await gateway.stop()
    },
  }
  return stage
}
