// Header fields as a plain list of names and values: a fraction of what a Headers object takes, thousands of times over.
// Must never hold a field that Headers would refuse: what a caller gives comes in through one.

import type { HeadersInput } from './fetch-types.js'

/** Header fields, in the order in which they are sent. Immutable. Names are in lower case. */
export class HeaderFields {
  /** Names and values take turns. */
  readonly #list: readonly string[]

  private constructor(list: readonly string[]) {
    this.#list = list
  }

  /** @throws TypeError for names and values that no header has. */
  static from(init: HeadersInput | undefined): HeaderFields {
    const list: string[] = []
    const headers = init instanceof Headers ? init : new Headers(init)
    headers.forEach((value, name) => {
      list.push(name, value)
    })
    // A copy is no larger than what it holds; a list that grew is.
    return new HeaderFields(list.slice())
  }

  /** Fields that came off the wire, as pairs after each other. */
  static received(list: readonly string[]): HeaderFields {
    return new HeaderFields(list.map((text, at) => (at % 2 === 0 ? text.toLowerCase() : text)))
  }

  /** The value of a field, several joined with a comma; null when there is none. */
  get(name: string): string | null {
    const list = this.#list
    let found: string | null = null
    for (let at = 0; at < list.length; at += 2) {
      if (list[at] === name) found = found === null ? (list[at + 1] ?? '') : `${found}, ${list[at + 1] ?? ''}`
    }
    return found
  }

  has(name: string): boolean {
    return this.get(name) !== null
  }

  /** The same, with this field in place of any of its name. */
  with(name: string, value: string): HeaderFields {
    const rest = this.has(name) ? this.without(name).#list : this.#list
    return new HeaderFields([...rest, name, value])
  }

  without(...names: readonly string[]): HeaderFields {
    if (!names.some((name) => this.has(name))) return this
    const list = this.#list
    return new HeaderFields(list.filter((_, at) => !names.includes(list[at - (at % 2)] ?? '')))
  }

  /** A list of its own: names and values take turns. */
  flat(): string[] {
    return [...this.#list]
  }

  toHeaders(): Headers {
    const headers = new Headers()
    const list = this.#list
    for (let at = 0; at + 1 < list.length; at += 2) headers.append(list[at] ?? '', list[at + 1] ?? '')
    return headers
  }
}
