// Finds the Chromium that the browser tests run in.
// Must never skip where tests are what the run is for: under CI a missing browser is a failure.

import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const PATH = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
const found = existsSync(PATH)

/** Why the browser tests are passed over, or null when they run. */
export const passedOver =
  found || (process.env.CI ?? '') !== '' ? null : `no Chromium at ${PATH}: install it or set CHROMIUM_PATH`

/** Starts it without a window. @param more further arguments @throws Error when it is not there. */
export function startChromium(more: readonly string[] = []): Promise<Browser> {
  if (!found)
    throw new Error(`no Chromium at ${PATH}: install it (Debian: apt-get install chromium) or set CHROMIUM_PATH`)
  return chromium.launch({
    executablePath: PATH,
    headless: true,
    args: [
      // In a container there is no user namespace to make a sandbox of; the only page is our own.
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...more,
    ],
  })
}
