// Turns what a chain or its RPC says into one of a few reasons, each with a message that is safe to show.
// Must never carry the original error along: it quotes the request, and with it signed transactions.
import {
  BaseError,
  decodeErrorResult,
  HttpRequestError,
  RpcRequestError,
  TimeoutError,
  WebSocketRequestError,
} from 'viem'
import { Abis } from 'viem/tempo'
import type { Hex } from '../protocol/hex.js'

export type ChainFailureReason =
  | 'insufficient_balance'
  | 'wrong_fee_token'
  | 'fee_too_high'
  | 'nonce_spent'
  | 'validity_expired'
  | 'reverted'
  | 'unreachable'
  | 'rate_limited'
  | 'wrong_chain'
  | 'behind'
  | 'implausible'
  | 'contradiction'
  | 'unknown'

/** What to do next, by reason. */
const ADVICE: Readonly<Record<ChainFailureReason, string>> = {
  insufficient_balance: 'The account does not hold enough of the token for this. Fund it, or use a smaller deposit.',
  wrong_fee_token:
    'The account cannot pay the fee in this fee token. Choose a fee token that exists and that it holds.',
  fee_too_high:
    'The transaction may cost more than is allowed; it was not signed. Raise maxFee, or try again when the chain is cheaper.',
  nonce_spent: 'This transaction was sent before. Look at the chain for its outcome before signing another one.',
  validity_expired: 'The transaction came outside its validity window. Sign a new one and send it at once.',
  reverted: 'The chain refused to execute this. Check the channel, its state and the amounts.',
  unreachable: 'The RPC endpoint could not be reached, or failed. Check its address and try again.',
  rate_limited: 'The RPC endpoint limits the rate of requests. Try again later, or use another RPC endpoint.',
  wrong_chain: 'The RPC endpoint is for another chain. Give one for the chain of the challenge.',
  behind:
    'The node answers from the past. Wait until it has caught up, or use another RPC endpoint. If an earlier node lied about the newest block, recover({ trustNode: true }) with a node that you trust.',
  implausible:
    'The node says what cannot be. Nothing was stored or signed. Use another RPC endpoint, or set the clock of this machine right.',
  contradiction:
    'What the node says of the channel contradicts what was signed for it. Nothing was stored or signed. Ask another RPC endpoint. If this ledger is an older copy, or another one signs for the channel, recover({ trustNode: true }) with a node that you trust, or forceClose.',
  unknown: 'The chain answered with an error that has no known cause.',
}

/** A failure of the chain or of the way to it. `message` names what to do next and holds no secret. */
export class ChainFailure extends Error {
  override readonly name = 'ChainFailure'
  /** The node's own words, shortened, with every long hex value cut out; absent when it had none. */
  readonly detail: string | undefined

  constructor(
    readonly reason: ChainFailureReason,
    detail?: string,
  ) {
    const safe = detail === undefined ? undefined : withoutSecrets(detail)
    super(safe === undefined ? ADVICE[reason] : `${ADVICE[reason]} (${safe})`)
    this.detail = safe
  }
}

/** Errors of tokens and precompiles that mean something else than "the chain refuses this". */
const REASON_OF_ERROR: Readonly<Record<string, ChainFailureReason>> = {
  InsufficientBalance: 'insufficient_balance',
  InsufficientFeeTokenBalance: 'wrong_fee_token',
  ExpiringNonceReplay: 'nonce_spent',
  InvalidExpiringNonceExpiry: 'validity_expired',
}

/** Contracts whose errors bubble up from a channel call. */
const ERRORS = [
  ...Abis.tip20,
  ...Abis.tip20ChannelReserve,
  ...Abis.feeManager,
  ...Abis.nonce,
  ...Abis.accountKeychain,
  ...Abis.tip403Registry,
]

/** JSON-RPC codes for too many requests: EIP-1474, those of providers, and the HTTP status where it stands in as the code. */
const RATE_LIMIT_CODES: ReadonlySet<unknown> = new Set([-32005, -32007, 429])
const inRateLimitRange = (code: unknown): boolean => typeof code === 'number' && code <= -32090 && code >= -32099

/** What nodes write, by reason. The first that matches counts, so the narrower ones stand first. */
const SENTENCES: readonly (readonly [RegExp, ChainFailureReason])[] = [
  [/fee[ _-]?token|fee manager/i, 'wrong_fee_token'],
  [/already known|already imported|replay|already (been )?(seen|used)|nonce too low/i, 'nonce_spent'],
  [/valid_?before|valid_?after|expired|not valid yet/i, 'validity_expired'],
  [/insufficient (funds|balance)|InsufficientBalance/i, 'insufficient_balance'],
  [/(header|block) (is )?not found|unknown block|BlockOutOfRange|block.* out of range/i, 'behind'],
  [/revert/i, 'reverted'],
  [/rate.?limit|too many requests|request limit/i, 'rate_limited'],
  [/fetch failed|ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|socket hang up|network error/i, 'unreachable'],
]

/** Classifies any error of a viem client on a Tempo chain. A {@link ChainFailure} comes back as it is. */
export function toChainFailure(error: unknown): ChainFailure {
  if (error instanceof ChainFailure) return error
  const links = chainOf(error)
  for (const link of links) {
    const name = errorName(link)
    if (name !== undefined) return new ChainFailure(REASON_OF_ERROR[name] ?? 'reverted', name)
  }
  const limited = links.find(isRateLimit)
  if (limited !== undefined) return new ChainFailure('rate_limited', ownWordsOfNode(limited))
  for (const link of links) {
    if (isTransportError(link)) return new ChainFailure('unreachable')
    const words = ownWords(link)
    const sentence = words === undefined ? undefined : SENTENCES.find(([pattern]) => pattern.test(words))
    if (sentence !== undefined) return new ChainFailure(sentence[1], words)
  }
  // A node that fails may still say so in JSON-RPC; what its words explain was found above.
  if (links.some((link) => link instanceof RpcRequestError && (link.status ?? 0) >= 500))
    return new ChainFailure('unreachable')
  return new ChainFailure(
    'unknown',
    links.map(ownWords).find((words) => words !== undefined),
  )
}

/** The error and its causes, innermost first: the node speaks in the innermost one. */
function chainOf(error: unknown): readonly unknown[] {
  const links: unknown[] = []
  for (let link = error; link !== undefined && link !== null && links.length < 16; link = member(link, 'cause'))
    links.unshift(link)
  return links
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

/** The node's message. viem keeps it in `details`; its own `message` quotes the whole request and is not used. */
function ownWords(link: unknown): string | undefined {
  const words = link instanceof BaseError ? link.details : member(link, 'message')
  return typeof words === 'string' && words !== '' ? words : undefined
}

/** The name of the Solidity error that the node returned, if it is one of Tempo's. */
function errorName(link: unknown): string | undefined {
  const data = revertData(link)
  if (data === undefined) return undefined
  try {
    return decodeErrorResult({ abi: ERRORS, data }).errorName
  } catch {
    // An error of some other contract, or no error data at all: the node's words decide.
    return undefined
  }
}

function revertData(link: unknown): Hex | undefined {
  for (const value of [member(link, 'data'), member(link, 'raw')]) {
    const data = typeof value === 'object' ? member(value, 'data') : value
    if (typeof data === 'string' && data.startsWith('0x') && data.length >= 10) return `0x${data.slice(2)}`
  }
  return undefined
}

function isTransportError(link: unknown): boolean {
  if (link instanceof TimeoutError || link instanceof WebSocketRequestError) return true
  return link instanceof HttpRequestError && (link.status === undefined || link.status >= 500)
}

function isRateLimit(link: unknown): boolean {
  const code = member(link, 'code')
  if (RATE_LIMIT_CODES.has(code) || inRateLimitRange(code)) return true
  return (link instanceof HttpRequestError || link instanceof RpcRequestError) && link.status === 429
}

/** The words of a JSON-RPC error; a body that is none may be a whole page. */
function ownWordsOfNode(link: unknown): string | undefined {
  return link instanceof HttpRequestError ? undefined : ownWords(link)
}

const PASSING: ReadonlySet<ChainFailureReason> = new Set(['unreachable', 'rate_limited', 'behind', 'implausible'])

/** Whether the same question may be answered a little later, by this node or by another one behind its address. */
export function mayPassByItself({ reason }: ChainFailure): boolean {
  return PASSING.has(reason)
}

/** Addresses and hashes may stay (66 characters at most); anything longer may be a signature or a signed transaction. */
function withoutSecrets(text: string): string {
  const oneLine = text.replace(/\s+/g, ' ').replace(/(0x)?[0-9a-f]{65,}/gi, '0x…')
  return oneLine.length > 200 ? `${oneLine.slice(0, 199)}…` : oneLine
}
