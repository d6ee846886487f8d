// What a victim is told to do and what it says: the words between the run and the processes that it kills.
// Must never carry a default that hides a missing word: what cannot be read ends the run.

import { z } from 'zod'

/** A fault of the disk, at the n-th write of the armed step (from 1). */
export const diskFaultSchema = z.object({
  /**
   * `torn`: half of the temporary file is on the disk. `undone`: the temporary file was renamed, and the folder was not synced in time, so
   * that the names come back as they were. `lying`: the disk said that it had the whole file, and has half of it.
   */
  kind: z.enum(['torn', 'undone', 'lying']),
  write: z.number(),
})
export type DiskFault = z.infer<typeof diskFaultSchema>

export const stepSchema = z.object({
  do: z.enum(['pay', 'close', 'force', 'recover', 'list', 'crowd']),
  /** The points of this step are told, and one of them may be where the process dies. */
  armed: z.boolean().exactOptional(),
  /** Of requests to pay for. */
  ids: z.array(z.string()).exactOptional(),
  /** How many requests of a crowd are under way together. */
  atOnce: z.number().exactOptional(),
  /** A forced close ends here instead of waiting for the grace period. */
  untilWaiting: z.boolean().exactOptional(),
})
export type Step = z.infer<typeof stepSchema>

export const taskSchema = z.object({
  /** Names the task in what is said of it. */
  of: z.string(),
  /** A key of the public test mnemonic; it is worth nothing. */
  key: z.string(),
  /** The paid route. */
  url: z.string(),
  chainId: z.number(),
  rpc: z.object({ url: z.string(), timeoutMs: z.number(), retries: z.number() }),
  store: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('files'), folder: z.string() }),
    z.object({ kind: z.literal('postgres'), connection: z.string(), schema: z.string() }),
  ]),
  policy: z.object({
    maxDeposit: z.string(),
    maxExposure: z.string(),
    /** Short ones, so that little time goes by until a dead process's lease has run out. */
    timeouts: z.object({ leaseMs: z.number() }),
  }),
  /** What one request costs, in tokens of the model. */
  tokens: z.number(),
  /** The point at which the process ends itself with SIGKILL. */
  kill: z.string().nullable(),
  disk: diskFaultSchema.nullable(),
  steps: z.array(stepSchema),
})
export type Task = z.infer<typeof taskSchema>

/** One line that a victim says. Each is out before the next instruction runs. */
export const lineSchema = z.discriminatedUnion('say', [
  z.object({ say: z.literal('point'), name: z.string() }),
  z.object({ say: z.literal('write'), count: z.number() }),
  z.object({ say: z.literal('asking'), id: z.string() }),
  z.object({
    say: z.literal('paid'),
    id: z.string(),
    ok: z.boolean(),
    code: z.string().nullable(),
    detail: z.string().nullable(),
  }),
  z.object({
    say: z.literal('ended'),
    how: z.enum(['close', 'force']),
    channelId: z.string(),
    status: z.string(),
    code: z.string().nullable(),
  }),
  z.object({
    say: z.literal('recovered'),
    unreadable: z.boolean(),
    unsearched: z.number(),
    channels: z.array(
      z.object({
        channelId: z.string(),
        source: z.string(),
        found: z.string(),
        action: z.string(),
        status: z.string(),
      }),
    ),
  }),
  z.object({
    say: z.literal('sessions'),
    list: z.array(z.object({ channelId: z.string(), status: z.string(), pending: z.string().nullable() })),
  }),
  z.object({ say: z.literal('done') }),
  /** The task ended with an error. */
  z.object({ say: z.literal('failed'), why: z.string() }),
])
export type Line = z.infer<typeof lineSchema>

/** A line, and the task that it is of. */
export const saidSchema = z.object({ of: z.string(), line: lineSchema })
