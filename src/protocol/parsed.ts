// The result type of every parser here: a value, or a typed refusal with a reason.
// Must never carry the refused input itself: details are shown and logged.

/** What a parser returns: the value, or why there is none. `reason` is for programs, `detail` for people. */
export type Parsed<T, R extends string = string> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: R; readonly detail: string }

/** A successful parse. */
export function parsed<T>(value: T): { ok: true; value: T } {
  return { ok: true, value }
}

/** A refusal. `detail` says what is wrong without quoting the input. */
export function refused<R extends string>(reason: R, detail: string): { ok: false; reason: R; detail: string } {
  return { ok: false, reason, detail }
}
