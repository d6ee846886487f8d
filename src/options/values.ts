// What single options can be. The message of each schema completes the sentence "… must be …".
// Must never name or quote a value.

import * as z from 'zod'
import { MAX_UINT96, parseAddress, parseTokenAmount } from '../protocol/index.js'

/** The longest time that a timer of a JavaScript engine can count, in milliseconds; a longer one ends at once. */
export const LONGEST_WAIT_MS = 2 ** 31 - 1

/** A whole number. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER) {
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
  return z.custom<number>((value) => Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most, {
    error: `a whole number ${range}`,
  })
}

/** Milliseconds that a timer can count. */
export function waitMs(least = 1, most: number = LONGEST_WAIT_MS) {
  return z.custom<number>((value) => Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most, {
    error: `a whole number of milliseconds from ${least} to ${most}`,
  })
}

/** A port to listen on. */
export const port = wholeNumber(0, 65_535)

/** A chain's id. */
export const chainId = wholeNumber(1)

export const flag = z.boolean({ error: 'true or false' })

export const text = z.string({ error: 'a string that is not empty' }).min(1, { error: 'a string that is not empty' })

/** A function. Its signature is the caller's to keep: a run-time check sees only that it is one. */
export function fn<F>(what = 'a function') {
  return z.custom<F>((value) => typeof value === 'function', { error: what })
}

/** An object that is used by its methods. */
export function objectWith<T extends object>(methods: readonly string[], what: string) {
  return z.custom<T>((value) => hasMethods(value, methods), { error: what })
}

/** Whether a value has all of these methods. */
export function hasMethods(value: unknown, methods: readonly string[]): boolean {
  return isObject(value) && methods.every((name) => typeof Reflect.get(value, name) === 'function')
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** An abort signal, of whichever realm or implementation. */
export const abortSignal = z.custom<AbortSignal>(
  (value) => hasMethods(value, ['addEventListener', 'removeEventListener']) && isObject(value) && 'aborted' in value,
  { error: 'an AbortSignal' },
)

/** An address, lower-cased. */
export const address = z.unknown().transform((value, context) => {
  const read = parseAddress(value)
  if (read.ok) return read.value
  context.addIssue({ code: 'custom', message: 'an address: 0x and 40 hex digits' })
  return z.NEVER
})

export function listOf<T extends z.ZodType>(element: T, what: string) {
  return z.array(element, { error: `an array of ${what}` })
}

/** An amount of a token, as base units. */
export function tokenAmount(decimals: number) {
  const expected = `a string with an amount of tokens, such as '5' or '0.25', of at most ${decimals} decimals; or a bigint of base units`
  return z.unknown().transform((value, context): bigint => {
    if (typeof value === 'bigint' && value >= 0n && value <= MAX_UINT96) return value
    const read = typeof value === 'string' ? parseTokenAmount(value, decimals) : null
    if (read?.ok === true) return read.value
    context.addIssue({ code: 'custom', message: expected })
    return z.NEVER
  })
}

/** Whether a text is an absolute http or https URL. */
export function isHttpUrl(value: unknown): value is string {
  return typeof value === 'string' && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)
}

const HOST = /^[\w-]{1,63}(?:\.[\w-]{1,63})*\.?$|^(?=.*:)[\da-f:.]{2,45}$/i

/** A name or an address of a machine: labels of at most 63 characters, so that no key passes for one. */
export const host = z.custom<string>((value) => typeof value === 'string' && value.length <= 253 && HOST.test(value), {
  error: 'a host name or an IP address',
})

export const httpUrl = z.custom<string>(isHttpUrl, { error: 'an http or https URL' })

/** The origin of an http or https URL. */
export const origin = z.unknown().transform((value, context): string => {
  if (isHttpUrl(value)) return new URL(value).origin
  context.addIssue({ code: 'custom', message: 'an http or https origin, such as https://api.example.com' })
  return z.NEVER
})
