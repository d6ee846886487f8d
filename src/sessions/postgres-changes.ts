// Tells who watches a channel that something changed in the database: by notification, or by a modest look now and then.
// Must never hold a connection that nobody needs, nor ask more often when the database is in trouble.

import * as z from 'zod'
import { createListeners } from './listeners.js'
import type { Connections } from './postgres-pool.js'
import { read } from './record-format.js'

/** How often the revisions of watched channels are read where the driver hears no notifications. */
const LOOK_MS = 500
/** How long a listening connection is kept after the last watcher left: waiters come and go. */
const LINGER_MS = 1_000
const LISTEN_AGAIN_MS = 1_000

const revisionRows = z.array(z.looseObject({ key: z.string(), revision: z.number() }))

export interface Changes {
  watch(key: string, listener: () => void): () => void
  /** Tells the watchers in this process. */
  emit(key: string): void
  /** Stops listening; a later watch starts again. */
  close(): Promise<void>
}

/** @param channel the notification channel; payloads are keys. */
export function createChanges(connections: Connections, channel: string, table: string): Changes {
  /** The source that is running, or being started or stopped: each next one waits for it. */
  let source: Promise<() => Promise<void>> | undefined
  let linger: ReturnType<typeof setTimeout> | undefined
  let closing: Promise<void> = Promise.resolve()
  const listeners = createListeners((keys) => {
    clearTimeout(linger)
    if (keys > 0) source ??= start()
    else if (source !== undefined) {
      linger = setTimeout(() => void close(), LINGER_MS)
      // The connection keeps the process alive while it is open, the timer need not.
      linger.unref?.()
    }
  })

  async function start(): Promise<() => Promise<void>> {
    await closing
    return connections.listen === undefined ? look() : listen(connections.listen)
  }

  /** Listens, and tries again while it is not possible. */
  async function listen(how: NonNullable<Connections['listen']>): Promise<() => Promise<void>> {
    let stop: (() => Promise<void>) | undefined
    let stopped = false
    let retry: ReturnType<typeof setTimeout> | undefined
    const later = (): void => {
      stop = undefined
      if (stopped) return
      retry = setTimeout(() => void connect(), LISTEN_AGAIN_MS)
      retry.unref?.()
    }
    async function connect(): Promise<void> {
      try {
        const started = await how(channel, (key) => listeners.emit(key), later)
        if (stopped) return await started()
        stop = started
        // What changed before the ear was there is not told any more.
        listeners.emitAll()
      } catch {
        // The next read or write says what is wrong; waiters look by themselves meanwhile.
        later()
      }
    }
    await connect()
    return async () => {
      stopped = true
      clearTimeout(retry)
      await stop?.()
    }
  }

  /** Reads the revisions of what is watched, one look after the other. */
  async function look(): Promise<() => Promise<void>> {
    let seen = new Map<string, number>()
    let stopped = false
    let timer: ReturnType<typeof setTimeout> | undefined
    async function once(): Promise<void> {
      const keys = listeners.keys()
      try {
        const text = `SELECT key, revision::float8 AS revision FROM ${table} WHERE key IN (SELECT jsonb_array_elements_text($1::text::jsonb))`
        const rows = read(revisionRows, await connections.query(text, [JSON.stringify(keys)]))
        const now = new Map(rows.map(({ key, revision }) => [key, revision]))
        for (const key of keys) if (now.get(key) !== seen.get(key)) listeners.emit(key)
        seen = now
      } catch {
        // As with listening: whoever reads or writes next is told.
      }
      if (stopped) return
      timer = setTimeout(() => void once(), LOOK_MS)
      timer.unref?.()
    }
    void once()
    return async () => {
      stopped = true
      clearTimeout(timer)
    }
  }

  function close(): Promise<void> {
    clearTimeout(linger)
    const running = source
    source = undefined
    // Where it cannot be told to stop, the database is gone, and the ear with it.
    if (running !== undefined) closing = running.then((stop) => stop()).catch(() => undefined)
    return closing
  }

  return { watch: listeners.add, emit: listeners.emit, close }
}
