// Reads what an HTTP answer says about payment, and keeps the answer whole for the caller.
// Must never decide what a code means, and never read more of a body than a problem needs.

import type { AnswerFacts } from '../../machines/index.js'
import {
  type ChallengeList,
  MAX_PROBLEM_BYTES,
  type ProblemReading,
  parseChallenges,
  readProblem,
  repeats,
  type Secrets,
  shownName,
} from '../protocol/index.js'
import { isKnownCode } from './known-code.js'
import type { Incoming } from './transport/index.js'

/** An answer, read as far as payment goes. */
export class Answer {
  readonly #incoming: Incoming

  constructor(
    incoming: Incoming,
    /** An `mpp_*` code, `payment_required`, or what follows the base of the standard problem types. */
    readonly code: string | null,
    readonly offered: ChallengeList,
    /** Why challenges on the answer cannot be used, when none can. */
    readonly offerProblem: string | null,
    readonly facts: AnswerFacts,
    /** It carries a receipt that holds: then it is what was paid for, whatever its status. */
    readonly charged: boolean,
  ) {
    this.#incoming = incoming
  }

  get ok(): boolean {
    const { status } = this.facts
    return status >= 200 && status < 300
  }

  /** The answer for the caller, whole. */
  get response(): Response {
    return this.#incoming.response
  }

  /** A field of its head, by its name in lower case. */
  header(name: string): string | null {
    return this.#incoming.header(name)
  }

  /** Nobody will read it: its connection is given back. */
  discard(): Promise<void> {
    return this.#incoming.discard()
  }
}

const NO_CHALLENGES: ChallengeList = { challenges: [], refused: [] }
const NO_PROBLEM: ProblemReading = {}
const LAST_STATUS = 599

/** `Retry-After` in milliseconds: seconds, or an HTTP date. */
function retryAfterMs(value: string | null, now: number): number | null {
  if (value === null) return null
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? null : Math.max(0, date - now)
}

/** What was sent, as far as reading its answer depends on it. */
export interface Asked {
  /** What the credential authorised, in base units; absent when none was sent. */
  readonly cumulative?: string
  /** Whether a receipt says that it was charged. */
  readonly isCharged?: (receipt: string) => Promise<boolean>
  /** What no name on the answer may repeat, if it is to be shown. */
  readonly secretsOf: (offered: ChallengeList['challenges']) => Promise<Secrets>
}

/** Stands for a code that the server has made of something secret. */
const UNSHOWN_CODE = 'a code that repeats what was sent'

/**
 * Reads an answer. Only error answers have their body looked at; an answer that was paid for is not touched.
 *
 * @throws what the connection broke with, when it did so within the body of an error.
 */
export async function readAnswer(incoming: Incoming, { cumulative, isCharged, secretsOf }: Asked): Promise<Answer> {
  const { status } = incoming
  const receipt = status >= 400 && status <= LAST_STATUS ? incoming.header('payment-receipt') : null
  const charged = receipt !== null && (await isCharged?.(receipt)) === true
  const list = status >= 400 ? parseChallenges(incoming.header('www-authenticate')) : null
  const offered = list?.ok === true ? list.value : NO_CHALLENGES
  const offerProblem = list?.ok === false && list.reason !== 'absent' ? list.detail : null
  const problem = status >= 400 && !charged ? await readableProblem(incoming) : NO_PROBLEM
  const code = problem.code ?? problem.problem ?? null
  const ownCode = code !== null && !isKnownCode(code) ? code : null
  const requestId = incoming.header('x-request-id') ?? incoming.header('request-id') ?? problem.requestId ?? null
  const challengeId = offered.challenges[0]?.id ?? null
  const isNamed = requestId !== null || challengeId !== null || ownCode !== null
  const secrets = isNamed ? await secretsOf(offered.challenges) : null
  const shown = (name: string | null): string | null =>
    name === null || secrets === null ? null : shownName(name, secrets)
  const facts: AnswerFacts = {
    status,
    requestId: shown(requestId),
    challengeId: shown(challengeId),
    challengesOffered: offered.challenges.length,
    cumulative: cumulative ?? null,
    requiredTopUp: problem.requiredTopUp?.toString() ?? null,
    retryAfterMs: retryAfterMs(incoming.header('retry-after'), Date.now()),
    contended: false,
  }
  const isSecret = ownCode !== null && secrets !== null && repeats(ownCode, secrets)
  return new Answer(incoming, isSecret ? UNSHOWN_CODE : code, offered, offerProblem, facts, charged)
}

const UTF8 = new TextDecoder()

/** An answer with a receipt was paid for: a body that breaks off does not cost what is known by its head. */
async function readableProblem(incoming: Incoming): Promise<ProblemReading> {
  try {
    return await problemOf(incoming)
  } catch (error) {
    // A status that no Response can have is no answer to hand on.
    if (incoming.status > LAST_STATUS || incoming.header('payment-receipt') === null) throw error
    return NO_PROBLEM
  }
}

async function problemOf(incoming: Incoming): Promise<ProblemReading> {
  const bytes = await incoming.peek(MAX_PROBLEM_BYTES)
  const body = UTF8.decode(bytes.subarray(0, MAX_PROBLEM_BYTES))
  return readProblem({ contentType: incoming.header('content-type'), body })
}
