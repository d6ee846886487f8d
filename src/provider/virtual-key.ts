// Holds the Virtual Key between requests and lets it be replaced while flows wait.
// Must never hand out anything that is no key (such as a payment credential), and never name the key in a failure.
import { type Parsed, parsed, refused } from '../protocol/parsed.js'

/** A key, or something that fetches it whenever one is needed. */
export type VirtualKey = string | (() => string | Promise<string>)

/** One word of visible ASCII, so neither `Bearer …` nor `Payment …` passes for a key. */
const KEY = /^[\x21-\x7e]{1,4096}$/

export class KeyHolder {
  #key: VirtualKey

  constructor(key: VirtualKey) {
    this.#key = key
  }

  replace(key: VirtualKey): void {
    this.#key = key
  }

  /** The key as of now, spaces around it removed. Refused when there is none, or none that may be sent. */
  async read(): Promise<Parsed<string, 'no_key'>> {
    const source = this.#key
    try {
      const key = (typeof source === 'string' ? source : await source()).trim()
      return KEY.test(key) ? parsed(key) : refused('no_key', 'What is configured is not a Virtual Key.')
    } catch {
      // The supplier's own error may quote the key, so only the fact is passed on.
      return refused('no_key', 'The Virtual Key could not be fetched.')
    }
  }
}
