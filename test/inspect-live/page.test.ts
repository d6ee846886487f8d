// The inspector's page in a real browser, on a real sandbox: press a code, see the recovery, step back, switch flows.
// Must never look at the page's own variables: only at what a person sees and can press.
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { MPP_CODES } from '../../machines/index.js'
import { type InspectedSandbox, inspectSandbox } from '../../src/cli/inspect/inspect-sandbox.js'
import { STATES } from '../../src/testing/model/index.js'
import { keepPicture, noBrowser, openBrowser, openPage, type WatchedPage } from './browser.js'

if (noBrowser !== null) console.warn(noBrowser)

const REFRESH = 'mpp_voucher_bucket_refresh_required'

describe.skipIf(noBrowser !== null)('the page on a sandbox', () => {
  let sandbox: InspectedSandbox
  let browser: Browser
  let open: WatchedPage[] = []

  beforeAll(async () => {
    ;[sandbox, browser] = await Promise.all([inspectSandbox({ open: false }), openBrowser()])
  })
  afterEach(async () => {
    for (const { context, errors } of open) {
      await context.close()
      expect(errors).toEqual([])
    }
    open = []
  })
  afterAll(async () => {
    await browser?.close()
    await sandbox?.stop()
  })

  async function visit(options: Parameters<typeof openPage>[1] = {}): Promise<Page> {
    const opened = await openPage(browser, options)
    open.push(opened)
    await opened.page.goto(sandbox.url)
    await opened.page.locator('svg.chart').waitFor()
    // Said once everything is known that was before.
    await opened.page.getByText('Connected', { exact: true }).waitFor()
    return opened.page
  }

  const press = (page: Page, control: string) => page.locator(`[data-control="${control}"]`).click()
  const current = (page: Page) => page.locator('.chart .state.current:not(.compound)').getAttribute('data-path')
  const flows = (page: Page) => page.locator('.flow')

  /** Waits until the page says what came of a button. */
  async function result(page: Page, control: string): Promise<string> {
    const said = page.locator('#said')
    await expect.poll(() => said.textContent(), { timeout: 30_000 }).toMatch(new RegExp(`^${control}: (?!under way)`))
    return (await said.textContent()) ?? ''
  }

  /** Waits until the flow that is looked at is shown at its end. */
  const atEnd = (page: Page) =>
    expect.poll(() => page.locator('.position').textContent(), { timeout: 30_000 }).toMatch(/^(\d+) \/ \1$/)

  it('loads from this machine only, and shows every state of the machine', async () => {
    const opened = await openPage(browser)
    open.push(opened)
    const { page } = opened
    const asked: string[] = []
    page.on('request', (request) => asked.push(new URL(request.url()).origin))
    await page.goto(sandbox.url)
    await page.locator('svg.chart').waitFor()
    expect(new Set(asked)).toEqual(new Set([new URL(sandbox.url).origin]))
    const drawn = await page
      .locator('.chart .state')
      .evaluateAll((all) => all.map((one) => one.getAttribute('data-path')))
    const compound = STATES.flatMap((path) => (path.includes('.') ? [path.slice(0, path.lastIndexOf('.'))] : []))
    expect(drawn.sort()).toEqual([...new Set([...STATES, ...compound])].sort())
    const labels = await page.locator('.code').evaluateAll((all) => all.map((one) => one.getAttribute('data-control')))
    expect(labels.sort()).toEqual([...MPP_CODES].sort())
    await keepPicture(page, '1-first-sight')
  })

  it('a press on the refresh code shows the voucher being refreshed and the request paid', async () => {
    const page = await visit()
    await press(page, REFRESH)
    // Looked for in every frame: a step is shown for a third of a second.
    const seen = await page.waitForFunction(
      (code) => {
        const announced = document.querySelector('.announcement text')?.textContent
        if (announced !== code) return null
        const taken = document.querySelector('.chart .arrow.taken')?.getAttribute('data-arrow')
        return { taken, tone: document.querySelector('.headline')?.getAttribute('data-tone') }
      },
      REFRESH,
      { polling: 'raf', timeout: 30_000 },
    )
    expect(await seen.jsonValue()).toEqual({
      taken: 'paymentFlow.paying → paymentFlow.parsingChallenge',
      tone: 'recovery',
    })
    await keepPicture(page, '2-recovery-as-it-happens')
    expect(await result(page, REFRESH)).toBe(`${REFRESH}: paid`)
    await atEnd(page)
    expect(await current(page)).toBe('succeeded')
    const states = await page.locator('.step .into').allTextContents()
    expect(states.join(' ')).toMatch(/paying parsingChallenge .*signingVoucher paying verifyingReceipt succeeded$/)
    expect(await page.locator('.pill').textContent()).toBe('recovered')
    expect(await page.locator('.facts .bounds dd').first().textContent()).toBe('2 of 3')
    await keepPicture(page, '3-recovered-and-paid')
  })

  it('steps back and forth with buttons, list, slider and keys, and returns to the present', async () => {
    const page = await visit()
    await press(page, REFRESH)
    await result(page, REFRESH)
    await atEnd(page)
    const signedAtEnd = await amount(page, 'signed')
    // The step at which the code came.
    await page.locator('.step[data-tone="recovery"]').click()
    await expect.poll(() => current(page)).toBe('parsingChallenge')
    expect(await page.locator('.card h3').textContent()).toBe(REFRESH)
    // What was known then, not what is known now.
    expect(Number(await amount(page, 'signed'))).toBe(Number(signedAtEnd) - 1)
    await keepPicture(page, '4-stepped-back')
    await page.keyboard.press('ArrowLeft')
    await expect.poll(() => current(page)).toBe('paying')
    await page.keyboard.press('ArrowRight')
    await expect.poll(() => current(page)).toBe('parsingChallenge')
    await page.getByRole('button', { name: 'Previous step' }).click()
    await expect.poll(() => current(page)).toBe('paying')
    await page.getByRole('slider', { name: 'Step of the flow' }).focus()
    await page.keyboard.press('Home')
    await expect.poll(() => current(page)).toBe('requesting')
    expect(await page.getByRole('button', { name: 'Live' }).getAttribute('aria-pressed')).toBe('false')
    await page.getByRole('button', { name: 'Live' }).click()
    await atEnd(page)
    expect(await current(page)).toBe('succeeded')
    await page.getByText('Context at this step').click()
    await expect.poll(() => page.locator('.member').count()).toBeGreaterThan(15)
    await page.locator('.member[data-changed]').last().scrollIntoViewIfNeeded()
    await keepPicture(page, '5-context')
  })

  it('tells flows apart, and keeps the one that was chosen', async () => {
    const page = await visit()
    await page.locator('#slow').uncheck()
    await press(page, 'mpp_request_quote_invalid')
    await result(page, 'mpp_request_quote_invalid')
    const failed = page.locator('.flow[data-standing="failed"]').last()
    expect(await failed.getAttribute('aria-checked')).toBe('true')
    expect(await current(page)).toBe('failed')
    expect(await page.locator('.card[data-tone="failure"] h3').textContent()).toBe('mpp_request_quote_invalid')
    await keepPicture(page, '6-failed')
    await press(page, 'pay')
    await result(page, 'pay')
    await expect.poll(() => current(page)).toBe('succeeded')
    await failed.click()
    await expect.poll(() => current(page)).toBe('failed')
    // Arrow keys choose among flows.
    await page.keyboard.press('ArrowRight')
    await expect.poll(() => current(page)).toBe('succeeded')
    expect(await page.locator('.flow[aria-checked="true"]').count()).toBe(1)
  })

  it('asks before funds move, and does what the person answers', async () => {
    const page = await visit()
    await page.locator('#slow').uncheck()
    for (const [answer, state, outcome] of [
      ['deny', 'failed', 'ask: ended in failed with policy_denied'],
      ['approve', 'succeeded', 'ask: paid'],
    ] as const) {
      await press(page, 'ask')
      await expect.poll(() => current(page)).toBe('authorizing.awaitingApproval')
      await page.locator('[data-control="approve"]').waitFor()
      expect(await page.locator('.facts').textContent()).toContain('Opens a channel with 5.00 pathUSD.')
      await keepPicture(page, `15-asks-before-${answer}`)
      await press(page, answer)
      await expect.poll(() => current(page)).toBe(state)
      await expect.poll(() => page.locator('#said').textContent()).toBe(outcome)
      // Nobody is asked any more.
      expect(await page.locator('[data-control="approve"]').count()).toBe(0)
    }
  })

  it('shows how a bound is used up, and the close of the channel', async () => {
    const page = await visit({ dark: true })
    await page.locator('#slow').uncheck()
    await page.getByText('until its bound is used up').click()
    await press(page, 'mpp_reservation_failed')
    expect(await result(page, 'mpp_reservation_failed')).toMatch(/ended in failed with mpp_reservation_failed$/)
    await expect.poll(() => current(page)).toBe('failed')
    expect(await page.locator('.facts .bounds dd').first().textContent()).toBe('0 of 3')
    await keepPicture(page, '7-bound-used-up-dark')
    await press(page, 'close')
    expect(await result(page, 'close')).toMatch(/the channel is closed/)
    await expect.poll(() => current(page)).toBe('closed')
    expect(await page.locator('.amounts').textContent()).toMatch(/settled.*refunded/)
    await keepPicture(page, '8-closed-dark')
  })

  it.each(MPP_CODES)('%s: the button brings the code about, and the page shows it', async (code) => {
    const page = await visit()
    await page.locator('#slow').uncheck()
    await press(page, code)
    await result(page, code)
    await atEnd(page)
    const causes = await page.locator('.step .cause').allTextContents()
    expect(causes).toContain(code)
    expect(await page.locator('.step[aria-current]').count()).toBe(1)
  })

  it('follows fifty flows at once without falling behind', async () => {
    const page = await visit()
    await page.locator('#slow').uncheck()
    const before = await flows(page).count()
    // Frames are counted while the flows run: a page that falls behind draws none.
    await page.evaluate(() => {
      const count = (): void => {
        document.body.dataset.frames = String(Number(document.body.dataset.frames ?? '0') + 1)
        requestAnimationFrame(count)
      }
      requestAnimationFrame(count)
    })
    await press(page, 'crowd')
    await expect
      .poll(() => page.locator('.flow[data-standing="running"]').count(), { timeout: 30_000 })
      .toBeGreaterThan(20)
    await keepPicture(page, '9-fifty-running')
    expect(await result(page, 'crowd')).toBe('crowd: 50 of 50 paid')
    expect(await flows(page).count()).toBe(before + 50)
    // What the program knows, the page shows at the same time: nothing is left to draw.
    expect(await page.locator('.flow[data-standing="running"]').count()).toBe(0)
    expect(Number(await page.locator('body').getAttribute('data-frames'))).toBeGreaterThan(10)
    await keepPicture(page, '10-fifty-done')
  })

  it('is usable on a narrow window, light and dark, without scrolling sideways', async () => {
    for (const dark of [false, true]) {
      const page = await visit({ width: 390, height: 844, dark })
      await page.locator('#slow').uncheck()
      await press(page, REFRESH)
      await result(page, REFRESH)
      await atEnd(page)
      const wide = await page.evaluate(() => document.documentElement.scrollWidth)
      expect(wide).toBeLessThanOrEqual(390)
      await page.evaluate(() => scrollTo(0, 0))
      await keepPicture(page, `11-narrow-${dark ? 'dark' : 'light'}`)
      // What is current is kept in sight inside the chart's frame.
      const seen = await page.evaluate(() => {
        const frame = document.querySelector('.frame-of-chart')?.getBoundingClientRect()
        const state = document.querySelector('.chart .state.current:not(.compound)')?.getBoundingClientRect()
        return (
          frame !== undefined &&
          state !== undefined &&
          state.left >= frame.left - 1 &&
          state.right <= frame.right + 1 &&
          state.bottom <= frame.bottom + 1
        )
      })
      expect(seen).toBe(true)
      await page.locator('#details').scrollIntoViewIfNeeded()
      await keepPicture(page, `12-narrow-details-${dark ? 'dark' : 'light'}`)
    }
  })

  it('can be worked by keyboard alone', async () => {
    const page = await visit()
    await page.locator('#slow').uncheck()
    await page.locator('[data-control="pay"]').focus()
    await page.keyboard.press('Enter')
    await result(page, 'pay')
    await expect.poll(() => current(page)).toBe('succeeded')
    // From the first button on, Tab reaches the steps, the chart and the rail.
    const reached = new Set<string>()
    for (let presses = 0; presses < 80; presses += 1) {
      await page.keyboard.press('Tab')
      reached.add(await page.evaluate(() => document.activeElement?.className ?? ''))
    }
    for (const part of ['action', 'code', 'frame-of-chart', 'step-button', 'slider', 'live', 'step', 'flow'])
      expect([...reached]).toContain(part)
  })

  it('connects again after the page was opened anew, and knows what was before', async () => {
    const page = await visit()
    const known = await flows(page).count()
    expect(known).toBeGreaterThan(0)
    await page.reload()
    await page.getByText('Connected', { exact: true }).waitFor()
    await expect.poll(() => flows(page).count()).toBe(known)
    await atEnd(page)
  })

  async function amount(page: Page, name: string): Promise<string> {
    const text = await page.locator('.amounts dt', { hasText: name }).locator('+ dd b').textContent()
    return text ?? ''
  }
})
