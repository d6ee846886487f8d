// Runs in a browser: an inspector's window that keeps what it receives, with the receiver of the package that sends.
// Must never change what it keeps.
import { createBrowserReceiver } from '@statelyai/inspect'

declare global {
  interface Window {
    received?: string[]
  }
}

const received: string[] = []
window.received = received
createBrowserReceiver().subscribe((event) => received.push(JSON.stringify(event)))
