// What a payer in a process of its own is to do, as its parent gives it.
// Must never hold a key of anything but the local chain's accounts.

import { z } from 'zod'
import { parseHex } from '../../src/protocol/index.js'

const key = z.string().transform((text, context) => {
  const hex = parseHex(text, 32)
  if (hex.ok) return hex.value
  context.addIssue({ code: 'custom', message: 'not a private key' })
  return z.NEVER
})

const task = z.strictObject({
  /** `name` is the folder, or the schema. */
  store: z.strictObject({ kind: z.enum(['file', 'postgres']), url: z.string(), name: z.string() }),
  key,
  rpcUrl: z.string(),
  url: z.string(),
  policy: z.record(z.string(), z.unknown()),
  /** The tokens of each request, one after the other. */
  requests: z.array(z.number()),
  block: z.strictObject({
    /** Which transaction: the first is 1. 0: none. */
    at: z.number(),
    how: z.enum(['account', 'event loop']),
    /** By so much the clock of the process jumps just before it blocks. */
    clockStepMs: z.number(),
  }),
  losesRenewals: z.boolean(),
})

export type PayerTask = z.infer<typeof task>

export function readTask(text: string): PayerTask {
  return task.parse(JSON.parse(text))
}
