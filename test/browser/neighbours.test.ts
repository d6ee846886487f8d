// A stranger's web page in a real Chromium, on the same machine as the inspector and the sandbox: what it can reach.
// Must never be kinder than the web: the page comes from another origin, and by a name that was made to point here.

import { createServer, type Server } from 'node:http'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inspectLocally, type LocalInspector } from '../../src/inspect/live/index.js'
import { type Sandbox, startSandbox } from '../../src/sandbox/index.js'
import { passedOver, startChromium } from './chromium.js'

if (passedOver !== null) console.warn(`Strangers' pages were not tried in a browser: ${passedOver}.`)

const STRANGER = 'stranger.example'

describe.skipIf(passedOver !== null)('a stranger’s page in Chromium', () => {
  let inspector: LocalInspector
  let sandbox: Sandbox
  let browser: Browser
  let pages: Server
  let page: Page
  const thrown: unknown[] = []
  const note = (error: unknown): void => void thrown.push(error)
  /** Requests to a service that nobody but the page asks for. */
  const elsewhere: string[] = []

  beforeAll(async () => {
    ;[inspector, sandbox, browser] = await Promise.all([
      inspectLocally(),
      startSandbox(),
      startChromium([`--host-resolver-rules=MAP *.example 127.0.0.1`]),
    ])
    pages = createServer((request, response) => {
      if (request.method === 'POST') elsewhere.push(request.url ?? '')
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>stranger</title>')
    })
    await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve))
    process.on('uncaughtException', note).on('unhandledRejection', note)
    page = await browser.newPage()
    await page.goto(`http://${STRANGER}:${portOf(pages)}/`)
  }, 120_000)

  afterAll(async () => {
    process.off('uncaughtException', note).off('unhandledRejection', note)
    await browser?.close()
    pages?.close()
    await Promise.all([inspector?.stop(), sandbox?.stop()])
  })

  function portOf(server: Server): number {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  /** What the page reads of an answer, or that the browser let it read nothing. */
  const ask = (url: string, init: RequestInit = {}): Promise<string> =>
    page.evaluate(
      ([to, how]) =>
        fetch(to, how).then(
          async (response) => `${response.status} ${await response.text()}`,
          () => 'nothing',
        ),
      [url, init] as const,
    )

  /** Whether a WebSocket of the page is opened; what it would send is sent. */
  const open = (url: string, messages: readonly string[] = []): Promise<boolean> =>
    page.evaluate(
      ([to, texts]) =>
        new Promise<boolean>((resolve) => {
          const socket = new WebSocket(to)
          socket.onopen = () => {
            for (const text of texts) socket.send(text)
            resolve(true)
          }
          socket.onerror = () => resolve(false)
        }),
      [url, [...messages]] as const,
    )

  const rpc = (method: string, params: unknown): RequestInit => ({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  })

  it('ends no process that embeds the inspector, whatever it asks for', async () => {
    const { origin, host } = new URL(inspector.url)
    for (const path of ['//', '/%', '///@', '/feed']) {
      expect(await ask(origin + path)).toBe('nothing')
      expect(await ask(origin + path, { mode: 'no-cors' })).toMatch(/^0 $|nothing/)
    }
    // Refused, and broken off by the page while it is.
    await page.evaluate((to) => {
      for (let times = 0; times < 40; times += 1) new WebSocket(to).close()
    }, `ws://${host}/`)
    for (const path of ['/', '/feed', '/opener', '//']) expect(await open(`ws://${host}${path}`)).toBe(false)
    expect((await fetch(inspector.url)).status).toBe(200)
    expect(thrown).toEqual([])
  })

  it('reads nothing of the inspector, not by a name that points here, and not with the token', async () => {
    const { port, pathname, host } = new URL(inspector.url)
    // To the browser this is one site with the page once the name is the same; here the name alone is tried.
    const rebound = await browser.newPage()
    expect((await rebound.goto(`http://${STRANGER}:${port}/`))?.status()).toBe(403)
    expect((await rebound.goto(`http://${STRANGER}:${port}${pathname}`))?.status()).toBe(403)
    const opened = await rebound.evaluate(
      (path) =>
        new Promise((resolve) => {
          const socket = new WebSocket(`ws://${location.host}${path}feed`)
          socket.onopen = () => resolve(true)
          socket.onerror = () => resolve(false)
        }),
      pathname,
    )
    expect(opened).toBe(false)
    await rebound.close()
    expect(await open(`ws://${host}${pathname}feed`)).toBe(false)
    expect(await open(`ws://${host}${pathname}`, [`${'['.repeat(200_000)}`])).toBe(false)
    expect(thrown).toEqual([])
  })

  it('ends no process and reads nothing by images, forms, frames and navigations, of the gateway either', async () => {
    const origins = [new URL(inspector.url).origin, new URL(sandbox.url).origin, new URL(sandbox.rpcUrl).origin]
    const paths = ['/', '//', '/%', '/v1/mpp/chat/completions', '/v1/mpp/sessions/close', '/v1/models']
    const urls = origins.flatMap((origin) => paths.map((path) => origin + path))
    const read = await page.evaluate(async (targets) => {
      const seen: string[] = []
      const settled = (element: HTMLElement, label: string): Promise<void> =>
        new Promise((resolve) => {
          element.onload = () => {
            if (element instanceof HTMLImageElement) seen.push(`${label} is an image`)
            if (element instanceof HTMLIFrameElement) {
              try {
                seen.push(element.contentDocument?.body.textContent ?? '')
              } catch {
                // Of another origin: that is what is hoped for.
              }
            }
            resolve()
          }
          element.onerror = () => resolve()
          document.body.append(element)
        })
      for (const target of targets) {
        const image = new Image()
        image.src = target
        await settled(image, target)
        const frame = document.createElement('iframe')
        frame.name = `frame-${targets.indexOf(target)}`
        frame.src = target
        await settled(frame, target)
        // A form is sent without asking first.
        const form = document.createElement('form')
        form.method = 'POST'
        form.enctype = 'text/plain'
        form.action = target
        form.target = frame.name
        form.innerHTML =
          '<input name=\'{"model":"sandbox-verbose","messages":[{"role":"user","content":"x\' value=\'"}]}\'>'
        document.body.append(form)
        const answered = new Promise<void>((resolve) => {
          frame.onload = () => resolve()
        })
        form.submit()
        await answered
        frame.remove()
      }
      return seen.filter((text) => text !== '')
    }, urls)
    expect(read).toEqual([])
    for (const path of paths) {
      const url = new URL(sandbox.url).origin + path
      const sent: RequestInit = { method: 'POST', body: '{', headers: { authorization: 'Payment e30' } }
      // It is a public API: whoever asks is told to pay.
      expect(await ask(url, sent)).toMatch(/^4\d\d |nothing/)
      expect(await ask(url, { method: 'POST', body: '{', mode: 'no-cors' })).toMatch(/^0 $|nothing/)
      expect(await open(url.replace('http:', 'ws:'))).toBe(false)
    }
    // By a name that was made to point here, the gateway is the page's own site: it holds nothing that the page has not.
    const rebound = await browser.newPage()
    const named = `http://${STRANGER}:${new URL(sandbox.url).port}/v1/mpp/chat/completions`
    expect((await rebound.goto(named))?.status()).toBeGreaterThanOrEqual(400)
    await rebound.close()
    expect(
      (await fetch(`${sandbox.url}/v1/mpp/chat/completions`, { method: 'POST', body: '{}' })).status,
    ).toBeGreaterThan(399)
    expect((await fetch(inspector.url)).status).toBe(200)
    expect(thrown).toEqual([])
  })

  it('a page of another program on this machine reads and writes nothing without the token', async () => {
    const { host } = new URL(inspector.url)
    await page.goto(`http://localhost:${portOf(pages)}/`)
    for (const path of ['/', '/feed', '/opener']) expect(await open(`ws://${host}${path}`, ['{}'])).toBe(false)
    expect(await open(inspector.url.replace('http:', 'ws:'), ['{}'])).toBe(true)
    await page.goto(`http://${STRANGER}:${portOf(pages)}/`)
  })

  it('cannot use the chain, administer it, or make it call another service', async () => {
    const service = `http://127.0.0.1:${portOf(pages)}/called`
    const height = async () => sandbox.admin.request({ method: 'eth_getBlockByNumber', params: ['0x1', false] })
    const before = await height()
    const fork = [{ forking: { jsonRpcUrl: service } }]
    for (const params of [fork, fork[0]]) {
      expect(await ask(sandbox.rpcUrl, rpc('anvil_reset', params))).not.toContain('result')
      // Sent without asking first; the page cannot read what comes back.
      const simple: RequestInit = { ...rpc('anvil_reset', params), headers: {}, mode: 'no-cors' }
      await ask(sandbox.rpcUrl, simple)
    }
    expect(await ask(sandbox.rpcUrl, rpc('eth_chainId', []))).not.toContain('0xa5bf')
    expect(elsewhere).toEqual([])
    expect(await height()).toEqual(before)
    // A page of this machine may use it as a wallet would, and no more.
    await page.goto(`http://localhost:${portOf(pages)}/`)
    expect(await ask(sandbox.rpcUrl, rpc('eth_chainId', []))).toContain('0xa5bf')
    expect(await ask(sandbox.rpcUrl, rpc('anvil_reset', fork))).toContain('-32601')
    expect(elsewhere).toEqual([])
  })
})
