// Puts storage words into the state overrides of one simulated call.
// Must never replace what the client itself overrides.
import { z } from 'zod'
import type { StorageWrite } from './storage.js'

const words = z.record(z.string(), z.string())
const overridesSchema = z.record(z.string(), z.looseObject({ state: words.optional(), stateDiff: words.optional() }))

/**
 * The client's overrides with `writes` added.
 *
 * @returns Undefined when the client's overrides are of an unknown shape: the chain is to refuse them, not us.
 */
export function withOverrides(own: unknown, writes: readonly StorageWrite[]): unknown {
  const parsed = overridesSchema.safeParse(own ?? {})
  if (!parsed.success) return undefined
  const merged = new Map(Object.entries(parsed.data).map(([address, entry]) => [address.toLowerCase(), entry]))
  for (const { address, slot, value } of writes) {
    const entry = merged.get(address) ?? {}
    // `state` replaces an account's whole storage and excludes `stateDiff`.
    const field = entry.state === undefined ? 'stateDiff' : 'state'
    merged.set(address, { ...entry, [field]: { [slot]: value, ...entry[field] } })
  }
  return Object.fromEntries(merged)
}
