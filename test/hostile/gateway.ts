// A gateway that means harm: it challenges like a real one, keeps every voucher it is given, and cashes them in for real.
// Must never do anything that a stranger on the network could not do: it knows no more than what the client sends it.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import type { LocalAccount } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import {
  CHANNEL_RESERVE,
  type Challenge,
  type Credential,
  encodeSessionRequest,
  formatChallenge,
  formatReceipt,
  type Hex,
  parseCredential,
  type Receipt,
  type SessionPayload,
} from '../../src/protocol/index.js'
import { broadcast } from '../../src/sandbox/gateway/broadcast.js'
import type { LocalChain } from '../../src/sandbox/index.js'
import {
  effectiveSigner,
  lowerCase,
  readChannel,
  readTokenBalance,
  sameHex,
  signClose,
  verifyVoucher,
} from '../../src/tempo/index.js'

/** A request as it came in. */
export interface Call {
  readonly action: 'unpaid' | 'unreadable' | SessionPayload['action']
  /** How many of the same action came before it. */
  readonly earlier: number
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  readonly credential: Credential | undefined
}

export type Terms = Partial<Parameters<typeof encodeSessionRequest>[0]>

export interface AnswerOptions {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Offered in WWW-Authenticate with the answer; null offers nothing. Default: the usual terms. */
  readonly terms?: Terms | null
  readonly body?: unknown
}

/** What the gateway does to a request. */
export type Malice = (call: Call, response: ServerResponse, gateway: HostileGateway) => void | Promise<void>

export interface HostileGateway {
  readonly url: string
  /** The paid route. */
  readonly chat: string
  readonly seen: readonly Call[]
  /** Accounts it can be paid to; the first one is in its usual terms. */
  readonly payees: readonly LocalAccount[]
  actions(): string[]
  /** A challenge in the words of the wire. */
  challenge(terms?: Terms, more?: Partial<Challenge>): string
  /** Refuses with a code or a standard problem, or challenges when there is none. */
  refuse(response: ServerResponse, code: string | null, options?: AnswerOptions): void
  /** Answers as if it had been paid for; the receipt claims what it is told to claim. */
  deliver(call: Call, response: ServerResponse, claims?: Partial<Receipt> | null): void
  /** Sends the transaction that a credential carries to the chain. False: the chain refused it. */
  broadcast(call: Call): Promise<boolean>
  /** The highest amount signed for each channel, by signatures that hold. Base units. */
  vouchers(): Promise<ReadonlyMap<Hex, bigint>>
  /** Closes one channel with the highest voucher, keeping all that it authorises. */
  capture(channelId: Hex): Promise<void>
  /** Closes every channel it can, keeping all that it can. Returns what its accounts hold then, in base units. */
  cashIn(): Promise<bigint>
  stop(): Promise<void>
}

const BUCKET = 1_000_000n
const DEPOSIT = 5_000_000n

export async function startHostile(chain: LocalChain, malice: Malice): Promise<HostileGateway> {
  const seen: Call[] = []
  const payees = Array.from({ length: 12 }, () => privateKeyToAccount(generatePrivateKey()))
  let issued = 0

  const server = createServer({ maxHeaderSize: 65_536, keepAliveTimeout: 60_000 }, (incoming, outgoing) => {
    // What breaks here is a broken connection for the client.
    handle(incoming, outgoing).catch(() => outgoing.destroy())
  })
  server.on('clientError', (_error, socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the gateway has no port')
  const url = `http://127.0.0.1:${address.port}`

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { authorization } = incoming.headers
    const credential = parseCredential(authorization)
    const action = credential.ok
      ? credential.value.payload.action
      : authorization === undefined
        ? 'unpaid'
        : 'unreadable'
    const call: Call = {
      action,
      earlier: seen.filter((before) => before.action === action).length,
      method: incoming.method ?? 'GET',
      path: incoming.url ?? '/',
      headers: incoming.headers,
      body: await buffer(incoming),
      credential: credential.ok ? credential.value : undefined,
    }
    seen.push(call)
    await malice(call, outgoing, gateway)
  }

  /** The highest voucher of each channel whose signature holds. */
  async function bestVouchers() {
    const best = new Map<Hex, { cumulative: bigint; signature: Hex; call: Call }>()
    for (const call of seen) {
      const payload = call.credential?.payload
      if (payload === undefined || !('signature' in payload)) continue
      const { channelId, descriptor, signature } = payload
      const cumulative = BigInt(payload.cumulativeAmount)
      if (cumulative <= (best.get(channelId)?.cumulative ?? -1n)) continue
      const signer = effectiveSigner(descriptor)
      const where = { chainId: chain.chainId, escrow: CHANNEL_RESERVE }
      if (await verifyVoucher({ channelId, cumulative, ...where, signature, signer }))
        best.set(channelId, { cumulative, signature, call })
    }
    return best
  }

  const gateway: HostileGateway = {
    url,
    chat: `${url}/v1/mpp/chat/completions`,
    seen,
    payees,
    actions: () => seen.map(({ action }) => action),
    challenge(terms = {}, more = {}) {
      issued += 1
      return formatChallenge({
        id: `challenge-${issued}`,
        realm: new URL(url).host,
        method: 'tempo',
        intent: 'session',
        expires: new Date(Date.now() + 300_000).toISOString(),
        request: encodeSessionRequest({
          amount: BUCKET,
          suggestedDeposit: DEPOSIT,
          currency: chain.token,
          recipient: lowerCase(payees[0]?.address ?? '0x'),
          chainId: chain.chainId,
          escrowContract: CHANNEL_RESERVE,
          ...terms,
        }),
        ...more,
      })
    },
    refuse(response, code, { status = 402, headers = {}, terms = {}, body } = {}) {
      const isProblem = code !== null && !/^(mpp_|payment_required)/.test(code)
      const problem = { type: `https://paymentauth.org/problems/${code}`, title: 'No.' }
      response.writeHead(status, {
        'content-type': isProblem ? 'application/problem+json' : 'application/json',
        ...(terms !== null && { 'www-authenticate': gateway.challenge(terms) }),
        ...headers,
      })
      response.end(JSON.stringify(body ?? (isProblem ? problem : { error: { code: code ?? 'payment_required' } })))
    },
    deliver(call, response, claims = {}) {
      const payload = call.credential?.payload
      const cumulative = payload !== undefined && 'cumulativeAmount' in payload ? BigInt(payload.cumulativeAmount) : 0n
      const receipt: Receipt = {
        method: 'tempo',
        intent: 'session',
        status: 'success',
        timestamp: new Date().toISOString(),
        reference: 'reference',
        challengeId: call.credential?.challenge.id ?? 'none',
        channelId: payload?.channelId ?? `0x${'0'.repeat(64)}`,
        acceptedCumulative: cumulative,
        spent: 0n,
        ...claims,
      }
      const content = call.action !== 'topUp' && call.action !== 'close'
      response.writeHead(content ? 200 : 204, claims === null ? {} : { 'payment-receipt': formatReceipt(receipt) })
      response.end(content ? '{"choices":[]}' : undefined)
    },
    async broadcast(call) {
      const payload = call.credential?.payload
      if (payload === undefined || !('transaction' in payload)) throw new Error('this request carries no transaction')
      return (await broadcast(chain.client(), payload.transaction)).ok
    },
    async vouchers() {
      return new Map([...(await bestVouchers())].map(([channelId, { cumulative }]) => [channelId, cumulative]))
    },
    async capture(channelId) {
      const voucher = (await bestVouchers()).get(channelId)
      const descriptor = voucher?.call.credential?.payload.descriptor
      const sponsor = chain.accounts.at(-1)
      if (voucher === undefined || descriptor === undefined || sponsor === undefined) throw new Error('no voucher')
      const payee = payees.find((account) => sameHex(account.address, descriptor.payee))
      // A channel to somebody else: nothing in it can be had.
      if (payee === undefined) return
      const client = chain.client()
      const { deposit } = await readChannel(client, { channelId, escrow: CHANNEL_RESERVE })
      if (deposit === 0n) return
      const { cumulative, signature } = voucher
      const close = await signClose(client, {
        account: payee,
        feePayer: sponsor,
        chainId: chain.chainId,
        escrow: CHANNEL_RESERVE,
        descriptor,
        cumulative,
        capture: smaller(cumulative, deposit),
        signature,
      })
      const sent = await broadcast(client, close.transaction)
      if (!sent.ok) throw new Error(`the close was refused: ${sent.detail}`)
    },
    async cashIn() {
      for (const channelId of (await bestVouchers()).keys()) await gateway.capture(channelId)
      const client = chain.client()
      const held = await Promise.all(
        payees.map(({ address: owner }) => readTokenBalance(client, { token: chain.token, owner })),
      )
      return held.reduce((sum, amount) => sum + amount, 0n)
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return gateway
}

function smaller(one: bigint, other: bigint): bigint {
  if (one < other) return one
  return other
}
