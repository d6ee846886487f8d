// A Node HTTP server made of the npm package `mppx`, unmodified: the peer that the tests of this folder pay.
// Must never answer, verify or keep books in mppx's place: it starts mppx, and notes what comes and goes.
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { Mppx, Store, tempo } from 'mppx/server'
import type { LocalAccount } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { type Credential, type Hex, parseCredential } from '../../src/protocol/index.js'
import type { LocalChain } from '../../src/sandbox/index.js'

/** What mppx is configured with. Amounts in tokens, as mppx takes them. */
export interface MppxGatewayOptions {
  readonly chain: LocalChain
  /** Who is paid. Default: an account of its own, without funds. */
  readonly account?: LocalAccount
  /** Pays the fees of opens, top-ups and closes. */
  readonly feePayer?: LocalAccount
  /** Price of a request. Default 0.1. */
  readonly amount?: string
  /** What the price is for. Default `request`. */
  readonly unitType?: string
  readonly suggestedDeposit?: string
  /** Stands in the challenge. */
  readonly minVoucherDelta?: string
  /** Enforced, and told to nobody. */
  readonly hiddenMinVoucherDelta?: string
  /** The token that payers are told to pay fees in. */
  readonly feeToken?: `0x${string}`
  /** Where a snapshot of the channel that was opened last stands in answers to requests without a credential. */
  readonly snapshot?: 'challenge' | 'header'
  /** The application's own token: `Authorization` is its, and the credential belongs into a header of its own. */
  readonly applicationToken?: string
  /** How long mppx believes what it read from the chain, in milliseconds. */
  readonly channelStateTtl?: number
  /** The way to the server takes up to this long, by lot for each request, in milliseconds: requests overtake each other. */
  readonly jitterMs?: number
  /** What the application behind mppx answers a request with that was paid for. Default: 200. */
  readonly content?: (served: number) => {
    readonly status: number
    readonly headers?: Readonly<Record<string, string>>
  }
  /** The status by which the application's own routes refuse a request, before mppx gets it. */
  readonly refuses?: (exchange: MppxExchange) => number | undefined
  /** Called with every request before mppx gets it. */
  readonly before?: (exchange: MppxExchange) => void | Promise<void>
}

/** A request as it arrived, and the status that mppx gave it. */
export interface MppxExchange {
  readonly method: string
  /** Path and query. */
  readonly target: string
  /** Of its body, in bytes; null: it came in pieces. */
  readonly length: number | null
  /** `unpaid`, or the action of the credential. */
  readonly kind: 'unpaid' | Credential['payload']['action']
  readonly credential: Credential | undefined
  status: number
}

/** A channel as mppx's own books have it, in base units. */
export interface MppxChannel {
  readonly channelId: string
  readonly highestVoucherAmount: bigint
  readonly spent: bigint
  readonly units: number
  readonly deposit: bigint
  readonly finalized: boolean
}

export interface MppxGateway {
  readonly url: string
  readonly account: LocalAccount
  readonly seen: readonly MppxExchange[]
  /** Problem types of what mppx refused, in order. */
  readonly refused: readonly string[]
  /** How many requests were let through to the content. */
  served(): number
  /** Every channel in mppx's store. */
  channels(): Promise<readonly MppxChannel[]>
  /** As after a restart with another key: challenges handed out before are no longer its own. */
  rotateSecret(): void
  /** As after a restart without its disk. @returns what brings the store back. */
  loseStore(): () => void
  stop(): Promise<void>
}

const PROBLEMS = 'https://paymentauth.org/problems/'

export async function startMppxGateway(options: MppxGatewayOptions): Promise<MppxGateway> {
  const { chain, feePayer, amount = '0.1', unitType = 'request', jitterMs = 0 } = options
  const account = options.account ?? privateKeyToAccount(generatePrivateKey())
  const seen: MppxExchange[] = []
  const refused: string[] = []
  const channelIds: Hex[] = []
  let store = Store.memory()
  let secretKey = randomBytes(32).toString('hex')
  let served = 0

  function configure(snapshots: boolean) {
    const payment = Mppx.create({
      realm: 'mppx.test',
      secretKey,
      ...(options.applicationToken !== undefined && { requiresAuth: true }),
      methods: [
        tempo.session({
          account,
          amount,
          currency: chain.token,
          chainId: chain.chainId,
          getClient: () => chain.client(),
          store,
          sse: false,
          unitType,
          ...(options.suggestedDeposit !== undefined && { suggestedDeposit: options.suggestedDeposit }),
          ...(options.hiddenMinVoucherDelta !== undefined && { minVoucherDelta: options.hiddenMinVoucherDelta }),
          ...(options.channelStateTtl !== undefined && { channelStateTtl: options.channelStateTtl }),
          ...(feePayer !== undefined && { feePayer }),
          ...(options.feeToken !== undefined && { feeToken: options.feeToken }),
          ...(snapshots && { resolveChannelId: () => channelIds.at(-1) }),
        }),
      ],
    })
    payment.onPaymentFailed(({ error }) => {
      refused.push(error.type.startsWith(PROBLEMS) ? error.type.slice(PROBLEMS.length) : error.type)
    })
    return payment
  }
  let payment = configure(options.snapshot === 'challenge')

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const exchange = note(incoming, outgoing)
    if (jitterMs > 0) await setTimeout(Math.random() * jitterMs)
    await options.before?.(exchange)
    const refusal = options.refuses?.(exchange)
    if (refusal !== undefined) {
      outgoing.writeHead(refusal).end()
      return
    }
    const { applicationToken } = options
    if (applicationToken !== undefined && incoming.headers.authorization !== `Bearer ${applicationToken}`) {
      outgoing.writeHead(401).end()
      return
    }
    if (options.snapshot === 'header' && exchange.kind === 'unpaid') {
      const snapshot = await snapshotHeader()
      if (snapshot !== undefined) outgoing.setHeader('payment-session-snapshot', snapshot)
    }
    const { minVoucherDelta } = options
    const charge = payment.session(minVoucherDelta === undefined ? {} : { minVoucherDelta })
    const { status } = await Mppx.toNodeListener(charge)(incoming, outgoing)
    // mppx has answered by itself: with a challenge, or a management request without content.
    if (status === 402) return
    served += 1
    const content = options.content?.(served)
    for (const [name, value] of Object.entries(content?.headers ?? {})) outgoing.setHeader(name, value)
    outgoing.statusCode = content?.status ?? status
    outgoing.setHeader('content-type', 'application/json')
    outgoing.end(JSON.stringify({ served }))
  }

  function note(incoming: IncomingMessage, outgoing: ServerResponse): MppxExchange {
    const inOwnHeader = [incoming.headers['payment-authorization']].flat().join()
    const read = parseCredential(inOwnHeader === '' ? incoming.headers.authorization : inOwnHeader)
    const credential = read.ok ? read.value : undefined
    const kind = credential?.payload.action ?? 'unpaid'
    const exchange: MppxExchange = {
      method: incoming.method ?? '',
      target: incoming.url ?? '',
      length: 'transfer-encoding' in incoming.headers ? null : Number(incoming.headers['content-length'] ?? 0),
      kind,
      credential,
      status: 0,
    }
    seen.push(exchange)
    outgoing.once('finish', () => {
      exchange.status = outgoing.statusCode
    })
    if (credential?.payload.action === 'open') channelIds.push(credential.payload.channelId)
    return exchange
  }

  /** mppx writes this header for `HEAD` requests only; an application that adds it elsewhere takes mppx's text. */
  async function snapshotHeader(): Promise<string | undefined> {
    const asked = new Request('http://mppx.test/work', { method: 'POST', body: '{}' })
    const result = await configure(true).session({})(asked)
    if (result.status !== 402) throw new Error('mppx did not challenge')
    const challenge = result.challenge.headers.get('www-authenticate') ?? ''
    const request = /request="([^"]+)"/.exec(challenge)?.[1] ?? ''
    const { methodDetails } = JSON.parse(Buffer.from(request, 'base64url').toString())
    const { sessionSnapshot } = methodDetails
    return sessionSnapshot === undefined ? undefined : tempo.session.serializeSnapshot(sessionSnapshot)
  }

  const server = createServer({ maxHeaderSize: 65_536 }, (incoming, outgoing) => {
    answer(incoming, outgoing).catch(() => {
      // What breaks inside of mppx is its answer too: a server without a plan for it answers 500.
      if (!outgoing.headersSent) outgoing.writeHead(500)
      outgoing.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    url: `http://127.0.0.1:${address.port}/work`,
    account,
    seen,
    refused,
    served: () => served,
    async channels() {
      const found = await Promise.all([...new Set(channelIds)].map((id) => store.get(id)))
      return found.filter(isChannel)
    },
    rotateSecret() {
      secretKey = randomBytes(32).toString('hex')
      payment = configure(options.snapshot === 'challenge')
    },
    loseStore() {
      const lost = store
      const use = (next: typeof store) => {
        store = next
        payment = configure(options.snapshot === 'challenge')
      }
      use(Store.memory())
      return () => use(lost)
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function isChannel(value: unknown): value is MppxChannel {
  return typeof value === 'object' && value !== null && 'highestVoucherAmount' in value && 'spent' in value
}
