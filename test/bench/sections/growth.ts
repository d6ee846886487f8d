// Whether a request costs the same after many requests on its channel, and with many channels in the ledger.
// Must never compare what was measured at different times: the settings take turns, window by window.

import { createMppClient, memoryStore, type Policy } from '../../../src/index.js'
import { addChannels, newPayer, openInStore } from '../ground/channel.js'
import { memoryGateway } from '../ground/memory-gateway.js'
import { bodyOf } from '../ground/terms.js'
import { section, type Task } from '../processes.js'
import { type SectionResult, type Table, told } from '../result.js'
import { ratios, type Spread, spreadOf, turnOrder } from '../statistics.js'

const INIT: RequestInit = { method: 'POST', headers: { 'content-type': 'application/json' }, body: bodyOf(1_024) }
const WARM_UP = 3_000
const QUICK_WARM_UP = 300
/** Requests that are measured together. */
const WINDOW = 250

type Pay = () => Promise<void>

interface ClientOptions {
  readonly channels?: number
  readonly policy?: Policy
}

async function client({ channels = 1, policy = {} }: ClientOptions = {}): Promise<Pay> {
  const account = newPayer()
  const store = memoryStore()
  const own = await openInStore(store, account)
  await addChannels(store, own, channels)
  const gateway = memoryGateway()
  const mpp = createMppClient({ account, store, fetch: gateway.fetch, policy })
  return async () => {
    const response = await mpp.fetch(gateway.url, INIT)
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    await response.arrayBuffer()
  }
}

async function times(count: number, pay: Pay): Promise<void> {
  for (let time = 0; time < count; time += 1) await pay()
}

/** Processor time of this process per request, in microseconds: what else runs on the machine is not in it. */
async function cost(pay: Pay): Promise<number> {
  globalThis.gc?.()
  const before = process.cpuUsage()
  await times(WINDOW, pay)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / WINDOW
}

/** Something whose cost is compared; `prepare` gives a client that is as it should be at the beginning of a window. */
interface Setting {
  readonly name: string
  readonly prepare: () => Promise<Pay> | Pay
}

async function measureSettings(settings: readonly Setting[], rounds: number): Promise<number[][]> {
  const costs = settings.map((): number[] => [])
  for (let round = 0; round < rounds; round += 1) {
    for (const at of turnOrder(settings.length, round)) {
      const setting = settings[at]
      if (setting === undefined) throw new RangeError('no such setting')
      costs[at]?.push(await cost(await setting.prepare()))
    }
  }
  return costs
}

/** A client that made `count` requests, made anew for each window, or kept where the window hardly changes the number. */
function after(count: number): Setting {
  let kept: Pay | undefined
  return {
    name: `after ${count.toLocaleString('en')} requests`,
    async prepare() {
      if (kept !== undefined) return kept
      const pay = await client()
      await times(count, pay)
      if (count >= 100 * WINDOW) kept = pay
      return pay
    },
  }
}

async function withChannels(channels: number, policy?: Policy): Promise<Setting> {
  const pay = await client({ channels, ...(policy !== undefined && { policy }) })
  await times(WINDOW, pay)
  const limit = policy === undefined ? '' : ', a total limit'
  const noun = channels === 1 ? 'channel' : 'channels'
  return { name: `${channels.toLocaleString('en')} ${noun}${limit}`, prepare: () => pay }
}

async function growth({ quick }: Task): Promise<SectionResult> {
  await times(quick ? QUICK_WARM_UP : WARM_UP, await client())
  const rounds = quick ? 2 : 24
  const figures: Record<string, Spread> = {}
  const compare = async (title: string, key: string, settings: readonly Setting[]): Promise<Table> => {
    const costs = await measureSettings(settings, rounds)
    const first = costs[0] ?? []
    const rows = settings.map(({ name }, at): string[] => {
      const own = costs[at] ?? []
      const ratio = spreadOf(ratios(own, first))
      figures[`${key}, ${name} (µs of processor time)`] = spreadOf(own)
      figures[`${key}, ${name}, times the first`] = ratio
      return [name, told(spreadOf(own)), told(ratio)]
    })
    return { title, columns: ['', 'µs of processor time per request', '× the first'], rows }
  }
  const requests = [10, quick ? 300 : 1_000, quick ? 1_000 : 100_000].map(after)
  const many = quick ? 1_000 : 10_000
  const channels = [await withChannels(1), await withChannels(100), await withChannels(many)]
  const limited = { maxTotalDeposit: 10n ** 24n }
  const total = [await withChannels(1, limited), await withChannels(100, limited), await withChannels(many, limited)]
  return {
    section: 'growth',
    tables: [
      await compare('Growth: requests on one channel', 'growth', requests),
      await compare('Growth: channels in the ledger', 'growth', channels),
      {
        ...(await compare('Channels in the ledger, with maxTotalDeposit set', 'growth', total)),
        note: 'With a limit over all channels, what is deposited elsewhere is added up: at most four times a second to plan by, and once more before a deposit is signed for.',
      },
    ],
    figures,
  }
}

section(growth)
