// Tells one open page everything, and then whatever is new, in batches.
// Must never let a page that reads slowly pile up messages in this process.

import type { WebSocket } from 'ws'
import type { PageMessage } from './messages.js'

/** New messages are collected this long, in milliseconds: less than a frame or two. */
const BATCH_MS = 20
/** A page that is this many bytes behind is let go; it connects again and is told everything anew. */
const MOST_UNSENT = 32 * 1024 * 1024
/** The most messages in one batch, so that the page can draw in between. */
const LARGEST_BATCH = 400

/** Sends messages to a page; the result takes further ones. */
export function feed(page: WebSocket): (message: PageMessage) => void {
  let waiting: PageMessage[] = []
  let timer: NodeJS.Timeout | null = null
  const send = (): void => {
    timer = null
    const messages = waiting
    waiting = []
    if (page.readyState !== page.OPEN) return
    for (let at = 0; at < messages.length; at += LARGEST_BATCH) {
      page.send(JSON.stringify(messages.slice(at, at + LARGEST_BATCH)))
    }
    if (page.bufferedAmount > MOST_UNSENT) page.terminate()
  }
  page.on('close', () => {
    if (timer !== null) clearTimeout(timer)
    waiting = []
  })
  return (message) => {
    if (page.readyState !== page.OPEN) return
    waiting.push(message)
    timer ??= setTimeout(send, BATCH_MS)
  }
}
