// The page's connection to its server, and the way in for a program that opened this page as its inspector window.
// Must never talk to another server than the one that served the page.

import type { PageMessage, Press } from '../live/messages.js'

export interface Connection {
  /** @param flow name of the flow that is looked at */
  press(control: string, repeat: boolean, flow: string | null): void
}

export interface Listener {
  /** The connection is lost; it is tried again. */
  readonly lost: () => void
  readonly messages: (messages: readonly PageMessage[]) => void
}

const AGAIN_MS = 1_000

/** Beside the page itself: the token is the first part of both paths. */
function address(name: string): string {
  const url = new URL(name, location.href)
  url.protocol = 'ws:'
  return url.href
}

/** Connects, and again whenever the connection is lost. */
export function connect({ lost, messages }: Listener): Connection {
  let socket: WebSocket | null = null
  function open(): void {
    const opened = new WebSocket(address('feed'))
    socket = opened
    // The server is the page's own: what it sends is what both were built from.
    opened.addEventListener('message', ({ data }) => messages(JSON.parse(String(data)) as readonly PageMessage[]))
    opened.addEventListener('close', () => {
      lost()
      setTimeout(open, AGAIN_MS)
    })
  }
  open()
  return {
    press(control, repeat, flow) {
      const message: Press = { type: 'press', control, repeat, flow }
      if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
    },
  }
}

const isLocal = (origin: string): boolean => {
  try {
    return /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(new URL(origin).hostname)
  } catch {
    return false
  }
}

/** Hands on what a program posts to this window in the inspector protocol of @statelyai/inspect. */
export function receiveFromOpener(): void {
  const opener: Window | null = window.parent === window ? window.opener : window.parent
  if (opener === null) return
  const waiting: string[] = []
  const socket = new WebSocket(address('opener'))
  socket.addEventListener('open', () => {
    for (const message of waiting.splice(0)) socket.send(message)
  })
  window.addEventListener('message', ({ source, origin, data }) => {
    if (source !== opener || !isLocal(origin)) return
    const message = JSON.stringify(data)
    if (socket.readyState === WebSocket.OPEN) socket.send(message)
    else waiting.push(message)
  })
  // The protocol's greeting; there is nothing in it, and any origin may be the one that opened this window.
  opener.postMessage({ type: '@statelyai.connected' }, '*')
}
