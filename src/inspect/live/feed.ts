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
/** A batch ends with the message that takes it beyond this many characters. */
const LONGEST_BATCH = 512 * 1024

/** Sends messages to a page, a batch at a time, so that the program goes on in between; the result takes further ones. */
export function feed(page: WebSocket): (message: PageMessage) => void {
  let waiting: PageMessage[] = []
  let timer: NodeJS.Timeout | null = null
  let slice: NodeJS.Immediate | null = null

  function nextBatch(): string | null {
    const texts: string[] = []
    let length = 0
    for (const message of waiting.slice(0, LARGEST_BATCH)) {
      const text = JSON.stringify(message)
      texts.push(text)
      length += text.length
      if (length > LONGEST_BATCH) break
    }
    waiting = waiting.slice(texts.length)
    return texts.length === 0 ? null : `[${texts.join(',')}]`
  }

  function send(): void {
    timer = null
    slice = null
    if (page.readyState !== page.OPEN) return
    const batch = nextBatch()
    if (batch === null) return
    page.send(batch)
    if (page.bufferedAmount > MOST_UNSENT) page.terminate()
    else if (waiting.length > 0) slice = setImmediate(send)
  }

  page.on('close', () => {
    if (timer !== null) clearTimeout(timer)
    if (slice !== null) clearImmediate(slice)
    waiting = []
  })
  return (message) => {
    if (page.readyState !== page.OPEN) return
    waiting.push(message)
    if (slice === null) timer ??= setTimeout(send, BATCH_MS)
  }
}
