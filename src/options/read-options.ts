// Reads the options of a public call against a schema, and names the option that is wrong.
// Must never put anything of the input into an error: neither a value, nor a key that is not nearly one of ours.

import * as z from 'zod'
import { nearestName } from './nearest.js'
import { OptionError } from './option-error.js'

/** An object of which every key is known: a misspelled one is refused instead of meaning nothing. */
export function optionsOf<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.preprocess(plain, z.strictObject(shape, { error: 'an object of options' }))
}

/** A promise, a Map or an array has no key of ours, and would read as no options at all. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const prototype: unknown = Object.getPrototypeOf(value)
  // An object of another realm has a prototype of its own, which is the end of its chain as well.
  return prototype === null || Object.getPrototypeOf(prototype) === null ? ownOf(value) : null
}

/** What an object itself has: not what others have put on the prototype of all objects. */
function ownOf<T>(given: T): T {
  return Object.assign(Object.create(null), given)
}

/** More names than that are no help in a message. */
const MOST_LISTED = 24

/**
 * What `schema` makes of `given`.
 *
 * @throws OptionError naming the option and the form that is expected of it. The messages of the schema are such forms
 * ("a function"), and `at` is where the options are themselves, when they are not a call's whole argument.
 */
export function readOptions<T>(schema: z.ZodType<T>, given: unknown, at: readonly PropertyKey[] = []): T {
  const issue = firstIssue(schema, given)
  if (issue.success) return typeof issue.data === 'object' && issue.data !== null ? ownOf(issue.data) : issue.data
  const [first] = issue.issues
  const path = [...at, ...(first?.path ?? [])]
  if (first?.code !== 'unrecognized_keys') {
    const option = nameOf(path)
    throw new OptionError(option, `${option || 'the argument'} must be ${first?.message ?? 'readable'}`)
  }
  const known = knownKeys(schema, first.path)
  for (const key of first.keys) {
    const near = nearestName(key, known)
    const option = nameOf([...path, key])
    if (near !== undefined) throw new OptionError(option, `unknown option ${option}; did you mean ${near}?`)
  }
  const where = nameOf(path)
  const takes = known.length <= MOST_LISTED ? `; the options are ${known.join(', ')}` : ''
  throw new OptionError(where, `unknown option${where === '' ? '' : ` in ${where}`}${takes}`)
}

type Read<T> =
  | { readonly success: true; readonly data: T }
  | { readonly success: false; readonly issues: readonly z.core.$ZodIssue[] }

function firstIssue<T>(schema: z.ZodType<T>, given: unknown): Read<T> {
  try {
    const result = schema.safeParse(given)
    return result.success ? result : { success: false, issues: result.error.issues }
  } catch {
    // A getter or a proxy of the caller's. What it threw may quote what it holds.
    return { success: false, issues: [] }
  }
}

/** `policy.allowedTokens[0]`. Every part is a key of a schema or an index. */
function nameOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((name, part) => {
    if (typeof part === 'number') return `${name}[${part}]`
    return name === '' ? String(part) : `${name}.${String(part)}`
  }, '')
}

/** The keys of the object that is at `path` in a schema. */
function knownKeys(schema: unknown, path: readonly PropertyKey[]): readonly string[] {
  const found = path.reduce(childOf, unwrapped(schema))
  return found instanceof z.ZodObject ? Object.keys(found.shape) : []
}

function childOf(schema: unknown, part: PropertyKey): unknown {
  if (schema instanceof z.ZodObject && typeof part === 'string') return unwrapped(schema.shape[part])
  return schema instanceof z.ZodArray ? unwrapped(schema.element) : undefined
}

function unwrapped(schema: unknown): unknown {
  if (schema instanceof z.ZodOptional) return unwrapped(schema.unwrap())
  return schema instanceof z.ZodPipe ? unwrapped(schema.out) : schema
}
