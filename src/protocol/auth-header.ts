// Splits a WWW-Authenticate value into its challenges by the grammar of RFC 9110 §11.6.1, in one forward pass.
// Must never look back over text it has read: a hostile header may cost time in proportion to its length, no more.

/** A field name is a token (RFC 9110 §5.6.2). */
export const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** One challenge of the list, its parameter values still as they stand between the quotes. */
export interface AuthChallenge {
  /** Lower-cased. */
  readonly scheme: string
  /** By lower-cased name. A map, so that a parameter may be called `__proto__`. */
  readonly params: ReadonlyMap<string, AuthValue>
  /** The first thing that was wrong with it. */
  readonly fault?: AuthFault
}

/** A value as written; `quoted` ones may hold backslash escapes. */
export interface AuthValue {
  readonly text: string
  readonly quoted: boolean
}

/** Why a challenge of the list cannot be used. */
export interface AuthFault {
  readonly reason: 'malformed' | 'duplicate_parameter'
  readonly detail: string
}

/** The list, and whether there was text that belongs to no challenge. */
export interface AuthChallengeList {
  readonly challenges: readonly AuthChallenge[]
  readonly stray: boolean
}

const TAB = 0x09
const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const EQUALS = 0x3d
const BACKSLASH = 0x5c

// Character classes as bits of a table: looked up once for every character of a header.
const TOKEN = 1
const TOKEN68 = 2
const CLASSES = new Uint8Array(128)
for (const char of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+') {
  CLASSES[char.charCodeAt(0)] = TOKEN | TOKEN68
}
for (const char of "!#$%&'*^`|") CLASSES[char.charCodeAt(0)] = TOKEN
CLASSES['/'.charCodeAt(0)] = TOKEN68

/** Whether the text has a character that no field value may hold: NUL, CR, LF and the other controls but tab. */
export function hasControlCharacter(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if ((code < SPACE && code !== TAB) || code === 0x7f) return true
  }
  return false
}

/**
 * The text without the white space that a field value may have around it: space and tab (RFC 9110 §5.6.3). The language's
 * own `trim` also takes off no-break spaces and byte order marks, and would give one value many spellings.
 */
export function trimFieldSpace(text: string): string {
  const isSpace = (at: number) => text.charCodeAt(at) === SPACE || text.charCodeAt(at) === TAB
  let start = 0
  let end = text.length
  while (start < end && isSpace(start)) start++
  while (end > start && isSpace(end - 1)) end--
  return text.slice(start, end)
}

/**
 * Splits a field value. Total: text that fits no rule is skipped up to the next comma outside quotes and counts against
 * the challenge it stands in, so that one malformed challenge leaves the others readable.
 */
export function splitAuthChallenges(header: string): AuthChallengeList {
  return new Splitter(header).run()
}

interface OpenChallenge {
  scheme: string
  params: Map<string, AuthValue>
  /** Ended by a comma right after its name: parameters that follow are not its own. */
  bare: boolean
  fault?: AuthFault
}

class Splitter {
  readonly #text: string
  readonly #challenges: OpenChallenge[] = []
  #at = 0
  #stray = false

  constructor(text: string) {
    this.#text = text
  }

  run(): AuthChallengeList {
    while (this.#skipToElement()) {
      const fault = this.#readElement()
      if (fault === undefined) continue
      const challenge = this.#challenges.at(-1)
      if (challenge === undefined) this.#stray = true
      else challenge.fault ??= fault
      this.#skipElement()
    }
    return { challenges: this.#challenges, stray: this.#stray }
  }

  /** Past white space and commas; empty list elements are allowed. */
  #skipToElement(): boolean {
    for (; this.#at < this.#text.length; this.#at++) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== COMMA && code !== SPACE && code !== TAB) return true
    }
    return false
  }

  /** On to the next comma that is not inside quotes. */
  #skipElement(): void {
    while (!this.#atElementEnd()) {
      if (this.#text.charCodeAt(this.#at) === QUOTE) this.#quoted()
      else this.#at++
    }
  }

  /** `scheme`, `scheme token68`, `scheme name=value` or, continuing the challenge before it, `name=value`. */
  #readElement(): AuthFault | undefined {
    const token = this.#token()
    const spaced = this.#skipSpace()
    if (token !== '' && this.#text.charCodeAt(this.#at) === EQUALS) return this.#readValue(token)
    if (token === '' || (!spaced && !this.#atElementEnd())) return malformed('neither a scheme nor a parameter')
    this.#challenges.push({ scheme: token.toLowerCase(), params: new Map(), bare: !spaced })
    if (this.#atElementEnd()) return undefined
    if (this.#skipToken68()) return malformed('a single token in place of parameters')
    const name = this.#token()
    this.#skipSpace()
    if (name !== '' && this.#text.charCodeAt(this.#at) === EQUALS) return this.#readValue(name)
    return malformed('a scheme followed by something other than a parameter')
  }

  /** From the `=` on. */
  #readValue(name: string): AuthFault | undefined {
    this.#at++
    this.#skipSpace()
    const quoted = this.#text.charCodeAt(this.#at) === QUOTE
    const text = quoted ? this.#quoted() : this.#token()
    if (text === undefined) return malformed('a quoted value without its end')
    if (!quoted && text === '') return malformed('a parameter without a value')
    this.#skipSpace()
    if (!this.#atElementEnd()) return malformed('no comma after a parameter')
    const challenge = this.#challenges.at(-1)
    if (challenge === undefined || challenge.bare) return malformed('a parameter that belongs to no scheme')
    const { params } = challenge
    const key = name.toLowerCase()
    if (params.has(key)) return { reason: 'duplicate_parameter', detail: 'a parameter given more than once' }
    params.set(key, { text, quoted })
    return undefined
  }

  #token(): string {
    const start = this.#at
    while (this.#is(TOKEN)) this.#at++
    return this.#text.slice(start, this.#at)
  }

  /** Past a token68 when that is all the element still holds; stays put otherwise. */
  #skipToken68(): boolean {
    const start = this.#at
    while (this.#is(TOKEN68)) this.#at++
    if (this.#at > start) {
      while (this.#text.charCodeAt(this.#at) === EQUALS) this.#at++
      this.#skipSpace()
      if (this.#atElementEnd()) return true
    }
    this.#at = start
    return false
  }

  /** The text between the quotes, escapes left in; undefined, and everything consumed, when the end is missing. */
  #quoted(): string | undefined {
    const start = this.#at + 1
    for (let at = start; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at)
      if (code === BACKSLASH) at++
      else if (code === QUOTE) {
        this.#at = at + 1
        return this.#text.slice(start, at)
      }
    }
    this.#at = this.#text.length
    return undefined
  }

  #skipSpace(): boolean {
    const start = this.#at
    for (; this.#at < this.#text.length; this.#at++) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== SPACE && code !== TAB) break
    }
    return this.#at > start
  }

  #atElementEnd(): boolean {
    return this.#at >= this.#text.length || this.#text.charCodeAt(this.#at) === COMMA
  }

  #is(characterClass: number): boolean {
    // Past the end charCodeAt is NaN, and beyond ASCII the table has no entry: neither is in any class.
    return ((CLASSES[this.#text.charCodeAt(this.#at)] ?? 0) & characterClass) !== 0
  }
}

function malformed(detail: string): AuthFault {
  return { reason: 'malformed', detail }
}
