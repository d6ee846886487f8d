// What is compared: two plain fetches, this client, and mppx's session manager, each paying for the same request.
// Must never let a subject do less than its user would: every answer is read to its end, and must be a 200.

import { Mppx, sessionManager, tempo } from 'mppx/client'
import { createClient, custom, hashTypedData, type LocalAccount } from 'viem'
import { tempoModerato } from 'viem/chains'
import { HeaderFields, transportOver } from '../../../src/client/transport/index.js'
import { createMppClient, type MppClient, memoryStore, type SessionStore } from '../../../src/index.js'
import { DEPOSIT, newPayer, openInStore, type PreparedChannel } from './channel.js'
import { CHAIN_ID, ESCROW, ROUTE } from './terms.js'

/** Pays for one request and reads its answer. */
export type Send = (body: string) => Promise<void>

export interface Subject {
  readonly name: string
  readonly send: Send
}

const HEADERS = { 'content-type': 'application/json' }

const request = (body: string): RequestInit => ({ method: 'POST', headers: HEADERS, body })

async function readToEnd(response: Response, status = 200): Promise<void> {
  if (response.status !== status) throw new Error(`HTTP ${response.status} instead of ${status}`)
  await response.arrayBuffer()
}

/** This client, on a channel that is open already. */
export async function mppFlow(origin: string, store: SessionStore = memoryStore()): Promise<Subject> {
  const account = newPayer()
  await openInStore(store, account)
  return subjectOf('mpp-flow', createMppClient({ account, store }), origin)
}

/** This client with a fetch that it was given: it sends by that one, and by nothing beneath it. */
export async function mppFlowOverFetch(origin: string): Promise<Subject> {
  const account = newPayer()
  const store = memoryStore()
  await openInStore(store, account)
  return subjectOf('mpp-flow, given fetch', createMppClient({ account, store, fetch: globalThis.fetch }), origin)
}

async function subjectOf(name: string, mpp: MppClient, origin: string): Promise<Subject> {
  const first = await mpp.pay(origin + ROUTE, request('{}'))
  if (first.receipt === undefined || first.authorised.vouchersSigned !== 0) {
    throw new Error(`the voucher was not reused, or the receipt not believed: ${first.receiptProblem ?? first.status}`)
  }
  await first.response?.arrayBuffer()
  return { name, send: async (body) => readToEnd(await mpp.fetch(origin + ROUTE, request(body))) }
}

/** Both requests by what this client sends with, and nothing else of it: what is left to gain in the client itself. */
export async function transportAlone(origin: string): Promise<Subject> {
  const url = new URL(origin + ROUTE)
  const transport = transportOver(undefined)
  const unpaid = HeaderFields.from(HEADERS)
  const paid = unpaid.with('authorization', await someCredential(url.href))
  const sendOne = async (text: string, headers: HeaderFields): Promise<Response> => {
    const body = new TextEncoder().encode(text)
    return (await transport({ url, method: 'POST', headers, body, options: {}, signal: null }).answer).response
  }
  return {
    name: 'two requests by its transport',
    async send(body) {
      await readToEnd(await sendOne(body, unpaid), 402)
      await readToEnd(await sendOne(body, paid))
    },
  }
}

/** Two fetches with nothing around them: unpaid, then with a credential that is at hand. The floor. */
export async function plainFetch(origin: string): Promise<Subject> {
  const url = origin + ROUTE
  const authorization = await someCredential(url)
  return {
    name: 'two plain fetches',
    async send(body) {
      await readToEnd(await fetch(url, request(body)), 402)
      await readToEnd(await fetch(url, { ...request(body), headers: { ...HEADERS, authorization } }))
    },
  }
}

/** The value of an `Authorization` header as this client sends it. */
async function someCredential(url: string): Promise<string> {
  const account = newPayer()
  const store = memoryStore()
  await openInStore(store, account)
  let seen: string | null = null
  const watching: typeof globalThis.fetch = (input, init) => {
    seen = new Headers(init?.headers).get('authorization') ?? seen
    return fetch(input, init)
  }
  const mpp = createMppClient({ account, store, fetch: watching })
  await readToEnd(await mpp.fetch(url, request('{}')))
  if (seen === null) throw new Error('no credential was sent')
  return seen
}

/** A chain that must not be asked: the channel is open, and nothing here moves a deposit. */
const client = createClient({
  chain: tempoModerato,
  transport: custom({
    request: async ({ method }: { readonly method: string }) => {
      throw new Error(`the chain was asked for ${method}`)
    },
  }),
})

function entryOf({ channelId, descriptor }: PreparedChannel) {
  return {
    channelId,
    descriptor,
    cumulativeAmount: 1_000_000n,
    deposit: DEPOSIT,
    escrow: ESCROW,
    chainId: CHAIN_ID,
    opened: true,
  }
}

/** mppx keeps channels where its caller wants it to; here, in memory. */
async function mppxChannel() {
  const channel = await openInStore(memoryStore(), newPayer())
  let entry = entryOf(channel)
  const channelStore = {
    get: () => entry,
    set: (next: typeof entry) => {
      entry = next
    },
    delete: () => undefined,
  }
  return { channel, channelStore }
}

/** mppx's session manager as it is: it signs a higher voucher for every request. */
export async function mppxManager(
  origin: string,
  wrap = (account: LocalAccount): LocalAccount => account,
): Promise<Subject> {
  const { channel, channelStore } = await mppxChannel()
  const manager = sessionManager({ account: wrap(channel.account), client, channelStore })
  return {
    name: 'mppx session manager',
    send: async (body) => readToEnd(await manager.fetch(origin + ROUTE, request(body))),
  }
}

/**
 * mppx's session manager made to send one voucher again and again, by an account that remembers its signature: what is
 * left is everything but the signing. mppx has no such mode of its own.
 */
export async function mppxWithoutSigning(origin: string): Promise<Subject> {
  const { channel, channelStore } = await mppxChannel()
  const { channelId, descriptor } = channel
  const manager = sessionManager({
    account: remembering(channel.account),
    client,
    channelStore,
    credentialContext: { action: 'voucher', channelId, descriptor, cumulativeAmountRaw: '1000000' },
  })
  return {
    name: 'mppx, signature remembered',
    send: async (body) => readToEnd(await manager.fetch(origin + ROUTE, request(body))),
  }
}

/** mppx's fetch, which takes concurrent requests where the session manager refuses them. */
export async function mppxFetch(origin: string): Promise<Subject> {
  const { channel, channelStore } = await mppxChannel()
  const mppx = Mppx.create({
    polyfill: false,
    methods: [tempo.session({ account: channel.account, getClient: () => client, channelStore })],
  })
  return { name: 'mppx fetch', send: async (body) => readToEnd(await mppx.fetch(origin + ROUTE, request(body))) }
}

/** Whether mppx's session manager refuses a second request while the first is under way. */
export async function managerRefusesConcurrency(origin: string): Promise<boolean> {
  const { send } = await mppxManager(origin)
  await send('{}')
  const ended = await Promise.allSettled([send('{}'), send('{}')])
  return ended.some(({ status }) => status === 'rejected')
}

/** An account that signs the same thing once. */
function remembering(account: LocalAccount): LocalAccount {
  const { sign } = account
  if (sign === undefined) throw new Error('the account does not sign hashes')
  const signatures = new Map<string, ReturnType<typeof sign>>()
  const once: typeof sign = (parameters) => {
    const known = signatures.get(parameters.hash)
    if (known !== undefined) return known
    const made = sign(parameters)
    signatures.set(parameters.hash, made)
    return made
  }
  return { ...account, sign: once, signTypedData: (typedData) => once({ hash: hashTypedData(typedData) }) }
}
