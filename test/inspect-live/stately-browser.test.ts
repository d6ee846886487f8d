// @statelyai/inspect in a browser, for real: the client pays in one window, and an inspector's window receives.
// Must never replace a part of that package: its sender and its receiver are the ones that are installed.
import type { Browser, BrowserContext } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inspectLocally, type LocalInspector } from '../../src/inspect/live/index.js'
import { type Stage, setStage, type WatchedGateway } from '../client/stage.js'
import { keepPicture, noBrowser, openBrowser } from './browser.js'
import { type ServedPages, servePages } from './in-browser/serve.js'
import { freshPayer, leaked, type Payer, request, secretsOf } from './played.js'
import { expectCompleteDefinitions, expectWholeRuns, readMessages } from './stately-messages.js'

describe.skipIf(noBrowser !== null)('createBrowserInspector', () => {
  let stage: Stage
  let gateway: WatchedGateway
  let payer: Payer
  let pages: ServedPages
  let local: LocalInspector
  let browser: Browser

  beforeAll(async () => {
    stage = await setStage(8)
    gateway = await stage.gateway()
    payer = await freshPayer(stage)
    ;[pages, local, browser] = await Promise.all([
      servePages(gateway.url, stage.chain.rpcUrl),
      inspectLocally(),
      openBrowser(),
    ])
  }, 90_000)

  afterAll(async () => {
    await browser?.close()
    await local?.stop()
    await pages?.stop()
    await stage?.stop()
  })

  /** Pays in one window, with the inspector's window at the given address. */
  async function pay(context: BrowserContext, inspector: string, codes: readonly string[]) {
    const page = await context.newPage()
    const errors: string[] = []
    page.on('pageerror', (error) => errors.push(error.message))
    await page.goto(`${pages.url}/payer`)
    await page.waitForFunction(() => window.order !== undefined)
    const opened = context.waitForEvent('page')
    for (const code of codes) gateway.inject(code)
    const { headers, body } = request(60)
    const order = {
      privateKey: payer.privateKey,
      inspector,
      headers: Object.fromEntries(new Headers(headers)),
      bodies: [String(body), String(body), String(body)],
    }
    const told = await page.evaluate(async (asked) => (await window.order?.(asked)) ?? [], order)
    expect(errors).toEqual([])
    return { told, window: await opened }
  }

  it('tells its receiver every actor, event and snapshot, complete and without a secret', async () => {
    const context = await browser.newContext()
    const { told, window } = await pay(context, `${pages.url}/receiver`, ['mpp_voucher_bucket_refresh_required'])
    expect(told.map(({ trace }) => trace.at(-1)?.state)).toEqual(['succeeded', 'succeeded', 'succeeded'])
    const received = (): Promise<string[]> => window.evaluate(() => self.received ?? [])
    await expect.poll(async () => (await received()).some((text) => text.includes('"value":"closed"'))).toBe(true)
    const texts = await received()
    const messages = readMessages(texts)
    expectCompleteDefinitions(messages)
    expectWholeRuns(
      messages,
      told.map(({ name, trace, text }) => ({ name, trace, completion: text })),
    )
    const names = messages.flatMap((one) => (one.type === '@xstate.actor' ? [one.name] : []))
    expect(names.every((name) => /^payment-flow-[0-9a-f]{8}$|^[a-z]+[A-Za-z]*$/.test(name))).toBe(true)
    expect(names).toEqual(expect.arrayContaining(['sendUnpaid', 'openSession', 'signVoucher', 'sendPaid', 'sendClose']))
    const written = told.map(({ text }) => /"content":"([^"]{20,})/.exec(text)?.[1]?.slice(0, 60) ?? '')
    const secrets = secretsOf(gateway, payer, written)
    expect(leaked(texts.join('\n'), secrets)).toEqual([])
    expect(leaked(told.map(({ text }) => text).join('\n'), secrets)).not.toEqual([])
    await context.close()
  })

  it('can have this package’s page as its window', async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
    const { window } = await pay(context, local.url, ['mpp_reservation_failed'])
    await expect.poll(() => window.locator('.flow').count(), { timeout: 20_000 }).toBe(4)
    expect(await window.locator('.flow[data-standing="recovered"]').count()).toBe(1)
    await window.locator('.flow[data-standing="recovered"]').click()
    await window.locator('.step[data-tone="recovery"]').click()
    await expect.poll(() => window.locator('.headline .event').textContent()).toBe('mpp_reservation_failed')
    expect(await window.locator('.chart .arrow.taken').count()).toBe(1)
    expect(await window.locator('.facts').textContent()).toMatch(/deposit.*signed.*mpp_reservation_failed2 of 3/)
    await keepPicture(window, '14-stately-browser')
    await context.close()
  })
})
