// Remembers the answers to paid requests, so that the same credential sent again gets the same answer and is charged once.
// Must never answer one credential with what another one bought.
import { createHash } from 'node:crypto'
import type { Answer } from './answer.js'

/** Enough for a day of a busy sandbox; the oldest are forgotten first. */
const MOST_ANSWERS = 10_000

export interface Replays {
  /** The answer to this very request, when there is or will be one. */
  find(fingerprint: string): Promise<Answer> | undefined
  /** Remembers an answer in the making; kept only when it turns out to be a 2xx. */
  remember(fingerprint: string, answer: Promise<Answer>): void
}

export function createReplays(): Replays {
  const answers = new Map<string, Promise<Answer>>()
  return {
    find: (fingerprint) => answers.get(fingerprint),
    remember(fingerprint, answer) {
      answers.set(fingerprint, answer)
      const forget = () => {
        answers.delete(fingerprint)
      }
      answer.then(({ status }) => {
        if (status < 200 || status > 299) forget()
      }, forget)
      for (const oldest of answers.keys()) {
        if (answers.size <= MOST_ANSWERS) break
        answers.delete(oldest)
      }
    },
  }
}

/** Names a request by its idempotency key, its credential and its body, without keeping any of them. */
export function fingerprintOf(idempotencyKey: string, authorization: string, body: Uint8Array): string {
  const hash = createHash('sha256')
  for (const part of [idempotencyKey, authorization]) hash.update(`${part.length}:${part}`)
  return hash.update(body).digest('base64')
}
