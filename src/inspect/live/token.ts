// The secret in the inspector's address: who does not know it gets nothing, whatever name or origin they come with.
// Must never be compared in a time that depends on how much of it was guessed.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** 128 bits. */
const BYTES = 16
const FORM = /^[\w-]{16,128}$/

/** A new token. */
export function createToken(): string {
  return randomBytes(BYTES).toString('base64url')
}

/** @throws RangeError when a token can be guessed or does not fit into an address. */
export function checkToken(token: string): void {
  if (!FORM.test(token))
    throw new RangeError('inspectLocally: option token must be 16 to 128 characters out of A-Z, a-z, 0-9, _ and -')
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Whether a text is the token. */
export function isToken(text: string, token: string): boolean {
  return timingSafeEqual(digest(text), digest(token))
}
