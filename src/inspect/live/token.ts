// The secret in the inspector's address: who does not know it gets nothing, whatever name or origin they come with.
// Must never be compared in a time that depends on how much of it was guessed.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'

/** 128 bits. */
const BYTES = 16
const FORM = /^[\w-]{16,128}$/

/** A new token. */
export function createToken(): string {
  return randomBytes(BYTES).toString('base64url')
}

/** A token of the caller's: one that cannot be guessed, and fits into an address. */
export const givenToken = z.custom<string>((value) => typeof value === 'string' && FORM.test(value), {
  error: '16 to 128 characters out of A-Z, a-z, 0-9, _ and -',
})

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Whether a text is the token. */
export function isToken(text: string, token: string): boolean {
  return timingSafeEqual(digest(text), digest(token))
}
