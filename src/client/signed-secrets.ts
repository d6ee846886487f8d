// What a client has signed lately, as names that servers give are held against it.
// Must never be shown or stored: it is there to keep secrets out of what is.

import { BLOCK, bytesOfHex, encodeBase64url, lettersOf, sharesRun } from '../protocol/index.js'

/** So many signed things are remembered at most, and when there are more, the newer half. */
const MOST_SIGNED = 32

/** The signatures and transactions that a client has signed or found in its ledger lately, in all their spellings. */
export class SignedSecrets {
  readonly #spellings = new Map<string, string>()
  #text = ''
  readonly #blocks = new Set<string>()

  /** @param hex with `0x` */
  remember(hex: string): void {
    if (this.#spellings.has(hex)) return
    this.#spellings.set(hex, spellingsOf(hex))
    if (this.#spellings.size <= MOST_SIGNED) {
      this.#add(hex)
      return
    }
    for (const older of [...this.#spellings.keys()].slice(0, MOST_SIGNED / 2)) this.#spellings.delete(older)
    this.#text = ''
    this.#blocks.clear()
    for (const kept of this.#spellings.keys()) this.#add(kept)
  }

  #add(hex: string): void {
    const spellings = this.#spellings.get(hex) ?? ''
    this.#text += ` ${spellings}`
    for (let at = 0; at + BLOCK <= spellings.length; at += 1) this.#blocks.add(spellings.slice(at, at + BLOCK))
  }

  /** Whether letters repeat one of them. */
  isIn(letters: string): boolean {
    for (let block = 0; block + BLOCK <= letters.length; block += BLOCK) {
      if (this.#blocks.has(letters.slice(block, block + BLOCK))) return sharesRun(letters, this.#text)
    }
    return false
  }
}

/** In hex, and in base64 wherever in a group it begins. */
function spellingsOf(hex: string): string {
  const bytes = bytesOfHex(hex.slice(2))
  const shifted = [0, 1, 2].map((shift) => lettersOf(encodeBase64url(bytes.subarray(shift))))
  return [hex.slice(2).toLowerCase(), ...shifted].join(' ')
}
