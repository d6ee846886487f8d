// What arrives at the inspector from outside can neither end, block nor fill the process that embeds it.
// Must never go around the server: raw sockets and real WebSockets, as a page or a neighbour has them.
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createMachine } from 'xstate'
import { machineGraph } from '../../src/inspect/index.js'
import { chartOf, drawingOf, drawingOfGraph, MOST_STATES } from '../../src/inspect/live/chart.js'
import { createFlowBook, MOST_CHARACTERS, MOST_FLOWS } from '../../src/inspect/live/flow-book.js'
import { inspectLocally, type LocalInspector } from '../../src/inspect/live/index.js'
import { createLayoutThread } from '../../src/inspect/live/layout-thread.js'
import type { PageMessage } from '../../src/inspect/live/messages.js'

let inspector: LocalInspector
const thrown: unknown[] = []
const note = (error: unknown): void => void thrown.push(error)

beforeAll(async () => {
  inspector = await inspectLocally()
  process.on('uncaughtException', note).on('unhandledRejection', note)
})
afterEach(() => expect(thrown.splice(0)).toEqual([]))
afterAll(async () => {
  process.off('uncaughtException', note).off('unhandledRejection', note)
  await inspector?.stop()
})

const webSocketUrl = (path = ''): string => inspector.url.replace('http:', 'ws:') + path

async function connected(path = ''): Promise<WebSocket> {
  const socket = new WebSocket(webSocketUrl(path))
  await once(socket, 'open')
  return socket
}

/** A page's connection, and everything it is told. */
async function page(): Promise<{ readonly told: PageMessage[]; readonly socket: WebSocket }> {
  const told: PageMessage[] = []
  const socket = new WebSocket(webSocketUrl('feed'))
  socket.on('message', (data) => told.push(...(JSON.parse(data.toString()) as PageMessage[])))
  await once(socket, 'open')
  return { told, socket }
}

/** Sends bytes on a connection of their own. @returns everything that came back. */
async function raw(bytes: string): Promise<string> {
  const socket = connect({ port: Number(new URL(inspector.url).port), host: '127.0.0.1' })
  let answer = ''
  socket.on('data', (data) => {
    answer += data.toString('latin1')
  })
  socket.end(bytes)
  await once(socket, 'close')
  return answer
}

const actor = (sessionId: string, machine: unknown): string =>
  JSON.stringify({ type: '@xstate.actor', sessionId, name: sessionId, definition: JSON.stringify(machine) })
const snapshot = (sessionId: string, type: string, value: unknown, context: unknown = {}): string =>
  JSON.stringify({
    type: '@xstate.snapshot',
    sessionId,
    snapshot: { status: 'active', value, context },
    event: { type },
  })
const LIGHT = { id: 'light', initial: 'red', states: { red: { on: { GO: 'green' } }, green: {} } }

/** The machine of so many states, each leading to three others. */
function web(size: number, id = 'web') {
  const to = (from: number, by: number): string => `s${(from * 7 + by * 13) % size}`
  const states = Array.from({ length: size }, (_, at) => [
    `s${at}`,
    { on: { A: to(at, 1), B: to(at, 2), C: to(at, 3) } },
  ])
  return { id, initial: 's0', states: Object.fromEntries(states) as Record<string, { on: Record<string, string> }> }
}

describe('requests', () => {
  it.each(['//', '///', '//@:0', 'http://', 'http://[', '\\\\', '/%'])('GET %s is answered', async (path) => {
    const host = `127.0.0.1:${new URL(inspector.url).port}`
    expect(await raw(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 40[03] /,
    )
    expect((await fetch(inspector.url)).status).toBe(200)
  })

  it.each(['refused', 'let in'])('an upgrade that is %s and then reset ends its connection only', async (how) => {
    const { port, pathname } = new URL(inspector.url)
    const lines = [`GET ${pathname} HTTP/1.1`, `host: 127.0.0.1:${port}`, 'connection: Upgrade', 'upgrade: websocket']
    if (how === 'refused') lines.push('origin: https://evil.example')
    const key = ['sec-websocket-version: 13', 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==', '', '']
    for (let times = 0; times < 50; times += 1) {
      const socket = connect({ port: Number(port), host: '127.0.0.1' })
      socket.on('error', () => undefined)
      const reset = (): void => void socket.resetAndDestroy()
      // Before the server has answered, or when it has.
      if (times % 2 === 1) socket.once('data', reset)
      socket.write([...lines, ...key].join('\r\n'), times % 2 === 0 ? reset : undefined)
      await once(socket, 'close')
    }
    // Answered after all of them.
    expect((await fetch(inspector.url)).status).toBe(200)
  })
})

describe('messages', () => {
  it('a value that is nested 200,000 deep is passed over, and what follows is read', async () => {
    const { told, socket } = await page()
    const program = await connected()
    const deep = `${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`.slice(0, 1_000_000)
    const nested = (levels: number) => `${'{"a":'.repeat(levels)}"b"${'}'.repeat(levels)}`
    program.send(actor('deep', LIGHT))
    for (const value of [nested(100_000), nested(50), deep]) {
      program.send(`{"type":"@xstate.snapshot","sessionId":"deep","event":{"type":"GO"},"snapshot":{"value":${value}}}`)
      program.send(`{"type":"@xstate.snapshot","sessionId":"deep","event":{"type":"GO","x":${value}}}`)
    }
    program.send(actor('deep-machine', 0).replace('"0"', JSON.stringify(`{"id":"d","states":${nested(90_000)}}`)))
    program.send(snapshot('deep', 'GO', 'red'))
    await expect.poll(() => told.filter(({ type }) => type === 'step')).toMatchObject([{ step: { state: 'red' } }])
    program.close()
    socket.close()
  })

  it('a message beyond a mebibyte ends its connection only', async () => {
    const program = await connected()
    program.send('x'.repeat(1024 * 1024 + 1))
    const [code] = await once(program, 'close')
    expect([1006, 1009]).toContain(code)
    const next = await connected()
    next.close()
  })

  it('decisions that lead to decisions are not followed for ever', async () => {
    const levels = Array.from({ length: 10 }, (_, at) => [
      `l${at}`,
      { always: Array.from({ length: 90 }, (_, n) => ({ guard: `g${n}`, target: `l${(at + 1 + (n % 9)) % 10}` })) },
    ])
    const machine = {
      id: 'maze',
      initial: 'start',
      states: { start: { on: { GO: 'l0' } }, ...Object.fromEntries(levels), end: {} },
    }
    const { told, socket } = await page()
    const program = await connected()
    program.send(actor('maze', machine))
    program.send(snapshot('maze', 'xstate.init', 'start'))
    program.send(snapshot('maze', 'GO', 'end'))
    await expect
      .poll(() => told.flatMap((one) => (one.type === 'step' && one.flow.endsWith('maze') ? [one.step.state] : [])))
      .toEqual(['start', 'end'])
    program.close()
    socket.close()
  })

  it('a machine of 3,000 states is not drawn, which the page is told plainly; its steps are', async () => {
    const { told, socket } = await page()
    const program = await connected()
    program.send(actor('large', web(3_000, 'large')))
    program.send(snapshot('large', 'xstate.init', 's0'))
    program.send(snapshot('large', 'A', 's13'))
    program.send(snapshot('large', 'NOTHING', 's13'))
    const chart = () => told.find((one) => one.type === 'chart' && one.chart.machine === 'large')
    await expect.poll(chart).toMatchObject({
      chart: { states: [], problem: expect.stringMatching(/too large to be drawn: it has 3000 states.*up to 200/) },
    })
    await expect
      .poll(() => told.flatMap((one) => (one.type === 'step' && one.flow.endsWith('large') ? [one.step] : [])))
      .toMatchObject([
        { event: 'START', state: 's0' },
        { event: 'A', state: 's13' },
      ])
    program.close()
    socket.close()
  })
})

describe('the layout', () => {
  it('runs beside the program: the event loop turns while a machine is laid out', async () => {
    const thread = createLayoutThread(600_000)
    try {
      let turns = 0
      let done = false
      const chart = chartOf(drawingOf(createMachine(web(14))), [1], thread.layOut).finally(() => {
        done = true
      })
      while (!done) {
        await new Promise((resolve) => setImmediate(resolve))
        turns += 1
      }
      expect(await chart).toMatchObject({ problem: null })
      // In this thread there would be a handful.
      expect(turns).toBeGreaterThan(100)
    } finally {
      await thread.stop()
    }
  })

  it('that takes too long is given up, and the next one is tried', async () => {
    const thread = createLayoutThread(1)
    try {
      for (const size of [100, 101]) {
        const { problem } = await chartOf(drawingOf(createMachine(web(size))), [1], thread.layOut)
        expect(problem).toMatch(/not drawn: laying it out took longer than .* steps are listed/)
      }
    } finally {
      await thread.stop()
    }
    await expect(thread.layOut({ id: 'late' })).rejects.toThrow('stopped')
  })

  it('of a machine of the program’s own that is too large is not tried either', async () => {
    const drawing = drawingOf(createMachine(web(MOST_STATES + 1)))
    expect(await chartOf(drawing)).toMatchObject({ states: [], problem: expect.stringContaining('too large') })
  })
})

describe('what is kept', () => {
  it('of large steps is cut, and stays within its bound, also on a page that comes later', async () => {
    const program = await connected()
    const wide = Object.fromEntries(Array.from({ length: 90 }, (_, at) => [`m${at}`, Array(9).fill('x'.repeat(1_000))]))
    program.send(actor('wide', LIGHT))
    for (let times = 0; times < 30; times += 1) program.send(snapshot('wide', 'GO', times % 2 ? 'red' : 'green', wide))
    program.send(snapshot('wide', 'LAST', 'red'))
    const steps = (told: readonly PageMessage[]) =>
      told.flatMap((one) => (one.type === 'step' && one.flow.endsWith('wide') ? [one.step] : []))
    const { told, socket } = await page()
    await expect.poll(() => steps(told).some(({ state }) => state === 'red')).toBe(true)
    for (const step of steps(told)) expect(JSON.stringify(step).length).toBeLessThan(100_000)
    program.close()
    socket.close()
  })

  it('is bounded in characters whatever the number of flows: one flow, or many that never end', () => {
    const drawing = drawingOfGraph(machineGraph(createMachine(LIGHT)))
    const context = { text: Array.from({ length: 60 }, () => 'x'.repeat(2_000)) }
    const step = { event: 'GO', by: null, value: 'red', taken: [], status: 'active', payload: {}, context } as const
    for (const flows of [1, 100]) {
      const book = createFlowBook(() => Promise.reject(new Error('not drawn')))
      for (let flow = 0; flow < flows; flow += 1) book.begin(`f${flow}`, { name: 'f', drawing })
      for (let times = 0; times < 400; times += 1) book.add(`f${times % flows}`, step)
      const kept = book.messages()
      expect(JSON.stringify(kept).length).toBeLessThan(MOST_CHARACTERS + 200_000)
      const steps = kept.flatMap((one) => (one.type === 'step' ? [one.step] : []))
      // The newest are there.
      expect(steps.length).toBeGreaterThan(50)
      expect(kept.filter(({ type }) => type === 'flow').length).toBeLessThanOrEqual(MOST_FLOWS)
    }
  })
})
