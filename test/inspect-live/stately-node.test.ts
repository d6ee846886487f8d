// @statelyai/inspect from Node, for real: its WebSocket inspector, its relay, and this package's page at the other end.
// Must never replace a part of that package: what it sends is what is looked at.
import { createWebSocketInspector } from '@statelyai/inspect'
import { createInspectorServer } from '@statelyai/inspect/server'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { createActor, createMachine } from 'xstate'
import { inspectLocally, type LocalInspector } from '../../src/inspect/live/index.js'
import type { PageMessage } from '../../src/inspect/live/messages.js'
import { type Stage, setStage, type WatchedGateway } from '../client/stage.js'
import { keepPicture, noBrowser, openBrowser, openPage } from './browser.js'
import { freePort } from './free-port.js'
import { freshPayer, leaked, type Payer, type Played, play, secretsOf } from './played.js'
import { expectCompleteDefinitions, expectReadableNames, expectWholeRuns, readMessages } from './stately-messages.js'

let stage: Stage
let gateway: WatchedGateway
let payer: Payer
let played: readonly Played[]
/** Everything the relay handed on, as it was on the wire. */
const relayed: string[] = []
let relayPort: number
let relay: ReturnType<typeof createInspectorServer>
let inspector: ReturnType<typeof createWebSocketInspector>
let local: LocalInspector
let browser: Browser | undefined

/** Resolves with an open connection. */
async function connected(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url)
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  return socket
}

/** Everything a page is told by the local inspector, as it comes. */
async function pageOf(url: string): Promise<readonly PageMessage[]> {
  const told: PageMessage[] = []
  const socket = await connected(`${url.replace('http:', 'ws:')}feed`)
  socket.on('message', (data) => told.push(...(JSON.parse(data.toString()) as PageMessage[])))
  return told
}

beforeAll(async () => {
  stage = await setStage(8)
  gateway = await stage.gateway()
  payer = await freshPayer(stage)
  local = await inspectLocally()
  relayPort = await freePort()
  relay = createInspectorServer({ port: relayPort, autoOpen: false, url: local.url })
  const listener = await connected(`ws://localhost:${relayPort}`)
  listener.on('message', (data) => relayed.push(data.toString()))
  inspector = createWebSocketInspector({ url: `ws://localhost:${relayPort}` })
  played = await play(stage, gateway, payer, inspector.inspect)
  // The close is the last to be played.
  await vi.waitUntil(() => relayed.some((text) => text.includes('"value":"closed"')), { timeout: 20_000 })
}, 60_000)

afterAll(async () => {
  await browser?.close()
  inspector?.stop()
  relay?.stop()
  await local?.stop()
  await stage?.stop()
})

describe('what arrives through the relay', () => {
  it('is every actor under a readable name', () => expectReadableNames(readMessages(relayed)))

  it('is the whole definition', () => expectCompleteDefinitions(readMessages(relayed)))

  it('is every event with its code, and a snapshot after each', () => {
    const messages = readMessages(relayed)
    expectWholeRuns(messages, played)
    const codes = played
      .flatMap(({ trace }) => trace.map(({ event }) => event))
      .filter((event) => event.startsWith('mpp_'))
    expect(codes).toEqual([
      'mpp_voucher_bucket_refresh_required',
      'mpp_reservation_failed',
      'mpp_payment_verification_failed',
      'mpp_payer_not_allowed',
    ])
    // Who reported them can be told.
    const names = new Map(messages.flatMap((one) => (one.type === '@xstate.actor' ? [[one.sessionId, one.name]] : [])))
    for (const one of messages) {
      if (one.type === '@xstate.event' && one.event.type.startsWith('mpp_'))
        expect(names.get(one.sourceId ?? '')).toBe('sendPaid')
    }
  })

  it('holds no key, credential, signature, prompt or completion', () => {
    const secrets = secretsOf(
      gateway,
      payer,
      played.map(({ completion }) => completion),
    )
    expect(leaked(relayed.join('\n'), secrets)).toEqual([])
    // The search finds what is there.
    expect(leaked(JSON.stringify(gateway.seen.map(({ headers }) => headers)), secrets)).not.toEqual([])
  })
})

describe.skipIf(noBrowser !== null)('the relay’s own page', () => {
  it('shows the flows in this package’s page, which it frames', async () => {
    browser = await openBrowser()
    const { page, context } = await openPage(browser)
    await page.goto(`http://localhost:${relayPort}`)
    const framed = page.frameLocator('#inspector')
    // The relay keeps its newest 200 messages, and tells whoever comes later those.
    await framed.locator('.flow').first().waitFor()
    await expect.poll(() => framed.locator('.flow[data-standing="failed"]').count()).toBe(1)
    await framed.locator('.flow[data-standing="failed"]').click()
    await expect.poll(() => framed.locator('.headline .event').textContent()).toBe('mpp_payer_not_allowed')
    await keepPicture(page, '13-stately-relay')
    await context.close()
  })
})

describe('the endpoint of the inspector protocol', () => {
  it('shows what createWebSocketInspector sends straight to it', async () => {
    const told = await pageOf(local.url)
    const direct = createWebSocketInspector({ url: local.url.replace('http:', 'ws:') })
    const light = createMachine({
      id: 'light',
      initial: 'red',
      states: {
        red: { description: 'Stop.', on: { GO: 'deciding' } },
        deciding: { always: 'green' },
        green: { on: { STOP: 'red' } },
      },
    })
    const actor = createActor(light, { id: 'crossing', inspect: direct.inspect }).start()
    actor.send({ type: 'GO' })
    actor.send({ type: 'STOP' })
    const flow = () => told.find((one) => one.type === 'flow' && one.flow.name === 'crossing')
    await expect.poll(() => flow(), { timeout: 10_000 }).toBeDefined()
    const steps = () => {
      const found = flow()
      const id = found?.type === 'flow' ? found.flow.id : ''
      return told.flatMap((one) => (one.type === 'step' && one.flow === id ? [one.step] : []))
    }
    await expect.poll(() => steps().length).toBe(3)
    expect(steps().map(({ event, state, taken }) => [event, state, taken.map(({ target }) => target)])).toEqual([
      ['START', 'red', []],
      // The state that decides at once is never reported; the way through it is found in the definition.
      ['GO', 'green', ['light.deciding', 'light.green']],
      ['STOP', 'red', ['light.red']],
    ])
    await expect
      .poll(() => told.find((one) => one.type === 'chart' && one.chart.machine === 'light'))
      .toMatchObject({
        chart: {
          problem: null,
          states: [{ name: 'red', description: 'Stop.' }, { name: 'deciding' }, { name: 'green' }],
        },
      })
    direct.stop()
  })

  it('passes over what is not of the protocol', async () => {
    const program = await connected(local.url.replace('http:', 'ws:'))
    for (const text of [
      '',
      '{',
      '[]',
      '{"type":"@xstate.actor"}',
      '{"type":"@xstate.snapshot","sessionId":"x"}',
      'null',
    ])
      program.send(text)
    program.send(
      JSON.stringify({ type: '@xstate.actor', sessionId: 'x:1', name: 'broken', definition: '{"states":7}' }),
    )
    program.send(
      JSON.stringify({
        type: '@xstate.actor',
        sessionId: 'x:2',
        name: 'sane',
        definition: '{"id":"sane","states":{}}',
      }),
    )
    program.send(
      JSON.stringify({
        type: '@xstate.snapshot',
        sessionId: 'x:2',
        snapshot: { value: {}, context: { __proto__: null, note: '<b>not markup</b>' } },
        event: { type: 'xstate.init' },
      }),
    )
    const told = await pageOf(local.url)
    await expect.poll(() => told.some((one) => one.type === 'ready')).toBe(true)
    expect(program.readyState).toBe(WebSocket.OPEN)
    program.close()
  })
})

describe('who may connect', () => {
  const refused = (path: string, headers: Record<string, string>): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = new WebSocket(new URL(path, local.url.replace('http:', 'ws:')), { headers })
      socket.once('open', () => {
        socket.close()
        resolve(false)
      })
      socket.once('error', () => resolve(true))
    })

  it('is no page of another origin, and nobody who reached this machine by another name', async () => {
    const own = new URL(local.url).origin
    expect(await refused('feed', { origin: own })).toBe(false)
    expect(await refused('feed', {})).toBe(false)
    expect(await refused('feed', { origin: 'https://evil.example' })).toBe(true)
    // A page of another program on this machine may speak the protocol, but not read the feed.
    expect(await refused('feed', { origin: 'http://localhost:5173' })).toBe(true)
    expect(await refused('', { origin: 'http://localhost:5173' })).toBe(false)
    expect(await refused('', { origin: 'https://evil.example' })).toBe(true)
    expect(await refused('', { host: 'rebound.example' })).toBe(true)
  })

  it('is nobody who does not know the token', async () => {
    const { pathname, origin } = new URL(local.url)
    expect(pathname).toMatch(/^\/[\w-]{22}\/$/)
    for (const path of ['/', '/feed', '/opener', '//', `${pathname.slice(0, -2)}/feed`, `/x${pathname}feed`]) {
      expect(await refused(origin.replace('http:', 'ws:') + path, {}), path).toBe(true)
      const answer = await fetch(origin + path)
      expect([path, answer.status]).toEqual([path, 403])
      expect(await answer.text()).toMatch(/token/)
    }
    for (const path of ['/main.js', '/page.css', '/index.html']) expect((await fetch(origin + path)).status).toBe(403)
    const [first, second] = await Promise.all([inspectLocally(), inspectLocally()])
    expect(new URL(first.url).pathname).not.toBe(new URL(second.url).pathname)
    await Promise.all([first.stop(), second.stop()])
  })

  it('gets nothing but the files of the page', async () => {
    const status = async (path: string, init?: RequestInit) => (await fetch(local.url + path, init)).status
    expect(await status('')).toBe(200)
    expect(await status('?any=query')).toBe(200)
    expect(await status('main.js')).toBe(200)
    expect(await status('main.ts')).toBe(404)
    expect(await status('x/../../live/serve.ts')).toBe(403)
    expect(await status('%2e%2e%2fpackage.json')).toBe(404)
    expect(await status('', { method: 'POST' })).toBe(405)
    const headers = (await fetch(local.url)).headers
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('referrer-policy')).toBe('no-referrer')
  })
})

describe('the local inspector', () => {
  it('says so when its port is taken, and refuses two buttons of one name', async () => {
    const port = Number(new URL(local.url).port)
    await expect(inspectLocally({ port })).rejects.toThrow(`port ${port} is taken`)
    const control = { id: 'a', label: 'A', group: 'g', hint: '', run: async () => '' }
    await expect(inspectLocally({ controls: [control, control] })).rejects.toMatchObject({
      name: 'OptionError',
      option: 'controls[1].id',
      message: 'controls[1].id must be unique; an earlier control has it already',
    })
  })

  it('keeps the address it is given, and refuses a token that can be guessed', async () => {
    for (const token of ['', 'short', 'with/a/slash/in/it', 'x'.repeat(129)])
      await expect(inspectLocally({ token })).rejects.toMatchObject({
        name: 'OptionError',
        option: 'token',
        message: 'token must be 16 to 128 characters out of A-Z, a-z, 0-9, _ and -',
      })
    const own = await inspectLocally({ token: 'the-same-every-time' })
    expect(new URL(own.url).pathname).toBe('/the-same-every-time/')
    expect((await fetch(own.url)).status).toBe(200)
    await own.stop()
  })

  it('tells the page what became of a button, also when it broke', async () => {
    const own = await inspectLocally({
      controls: [
        { id: 'works', label: 'W', group: 'g', hint: '', run: async ({ repeat }) => `done, repeat ${repeat}` },
        {
          id: 'breaks',
          label: 'B',
          group: 'g',
          hint: '',
          run: async () => {
            throw new Error('no more paper')
          },
        },
        {
          id: 'throws',
          label: 'T',
          group: 'g',
          hint: '',
          run: () => {
            throw new Error('no paper at all')
          },
        },
      ],
    })
    try {
      const told: PageMessage[] = []
      const socket = await connected(`${own.url.replace('http:', 'ws:')}feed`)
      socket.on('message', (data) => told.push(...(JSON.parse(data.toString()) as PageMessage[])))
      for (const text of ['{}', 'x', JSON.stringify({ type: 'press', control: 'unknown', repeat: true, flow: null })])
        socket.send(text)
      socket.send(JSON.stringify({ type: 'press', control: 'works', repeat: true, flow: null }))
      for (const control of ['breaks', 'throws'])
        socket.send(JSON.stringify({ type: 'press', control, repeat: false, flow: null }))
      await expect
        .poll(() => told.filter(({ type }) => type === 'pressed'))
        .toEqual([
          { type: 'pressed', control: 'works', ok: true, note: 'done, repeat true' },
          { type: 'pressed', control: 'breaks', ok: false, note: 'no more paper' },
          { type: 'pressed', control: 'throws', ok: false, note: 'no paper at all' },
        ])
    } finally {
      await own.stop()
    }
  })
})
