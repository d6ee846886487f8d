// A real browser for the tests of the inspector's page, and a place for what it looks like.
// Must never pass for a browser that is not there: in CI its absence is a failure.
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'

const CANDIDATES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Nothing of the browser's own goes out to the network. */
const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

const executable = process.env.CHROMIUM ?? CANDIDATES.find((path) => existsSync(path))

/** Why browser tests are left out, or null when they are not. In CI they are never left out. */
export const noBrowser =
  executable === undefined && process.env.CI !== 'true'
    ? 'no chromium found: install it, or name it in CHROMIUM, to run the tests of the page'
    : null

/** @throws Error when there is no browser. */
export async function openBrowser(): Promise<Browser> {
  if (executable === undefined) throw new Error('no chromium found, and CI=true: install Debian’s chromium')
  return chromium.launch({ executablePath: executable, args: QUIET })
}

/** A page that fails the test when its console or one of its scripts reports an error. */
export interface WatchedPage {
  readonly page: Page
  readonly context: BrowserContext
  readonly errors: string[]
}

export async function openPage(
  browser: Browser,
  options: { readonly width?: number; readonly height?: number; readonly dark?: boolean } = {},
): Promise<WatchedPage> {
  const { width = 1280, height = 800, dark = false } = options
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    reducedMotion: 'reduce',
  })
  const page = await context.newPage()
  const errors: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })
  page.on('pageerror', (error) => errors.push(error.message))
  return { page, context, errors }
}

const FOLDER = process.env.INSPECTOR_SCREENSHOTS ?? join(tmpdir(), 'mpp-flow-inspector')

/** Keeps what the page looks like, outside of the repository. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  await mkdir(FOLDER, { recursive: true })
  await page.screenshot({ path: join(FOLDER, `${name}.png`) })
}
