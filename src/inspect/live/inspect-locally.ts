// The local inspector: a page on this machine that draws the machines of a program and follows its flows.
// Must never need anything from outside of this machine, nor slow down what it watches when no page is open, nor end it.

import type { WebSocket } from 'ws'
import type { InspectionEvent } from 'xstate'
import { z } from 'zod'
import { ERROR_CODES, paymentFlowMachine } from '../../../machines/index.js'
import { flag, optionsOf, port, readOptions } from '../../options/index.js'
import { loadAssets } from './assets.js'
import { drawingOf } from './chart.js'
import { type Control, controlList, viewOf } from './controls.js'
import { definitionReader } from './definition.js'
import { feed } from './feed.js'
import { createFlowBook, type FlowBook } from './flow-book.js'
import { fromProtocol } from './from-protocol.js'
import { fromXState } from './from-xstate.js'
import { createLayoutThread } from './layout-thread.js'
import type { CodeView, PageMessage } from './messages.js'
import { readJson, serve } from './serve.js'
import { createToken, givenToken } from './token.js'

export interface InspectLocallyOptions {
  /** Default: a free one. */
  readonly port?: number
  /** Whether to open the page in the user's browser. Default false. */
  readonly open?: boolean
  /** Stands at the top of the page. */
  readonly title?: string
  /** Buttons for the page. Default none. */
  readonly controls?: readonly Control[]
  /**
   * The secret part of the address, 16 to 128 characters out of A-Z, a-z, 0-9, _ and -. Default: a new one. Together with
   * `port` it makes an address that stays the same, for programs that are given it beforehand.
   */
  readonly token?: string
}

const inspectorOptions = optionsOf({
  port: port.optional(),
  open: flag.optional(),
  title: z.string({ error: 'a string' }).optional(),
  controls: controlList.optional(),
  token: givenToken.optional(),
} satisfies Record<keyof InspectLocallyOptions, unknown>)

/** A running inspector. */
export interface LocalInspector {
  /**
   * Of the page, with the token, without which nothing is answered: whoever has it sees what is inspected. With `ws:` in
   * place of `http:` it is the endpoint of the inspector protocol.
   */
  readonly url: string
  /** For `createMppClient({ inspect })`, or for `createActor(machine, { inspect })` with any machine. */
  readonly inspect: (event: InspectionEvent) => void
  stop(): Promise<void>
}

const press = z.object({
  type: z.literal('press'),
  control: z.string(),
  repeat: z.boolean(),
  flow: z.string().nullable(),
})

/** Token amounts on the page are written with as many decimals as TIP-20 tokens have. */
const TOKEN_DECIMALS = 6

/** What is known about each code, by the event that stands for it. */
function codeViews(): Readonly<Record<string, CodeView>> {
  return Object.fromEntries(
    Object.values(ERROR_CODES).map(({ code, event, meaning, advice, leadsTo, bound }) => [
      event,
      { code, meaning, advice, leadsTo, bound },
    ]),
  )
}

/**
 * Serves the inspector's page on this machine and feeds it.
 *
 * Whatever is inspected is kept in memory, within bounds, and shown on this machine to whoever has the page's address;
 * nothing is sent anywhere else. Plain XState programs can use it as well: pass `inspect` to `createActor`, or point
 * `createWebSocketInspector({ url })` of `@statelyai/inspect` at it from any other process.
 *
 * @throws OptionError naming the option that cannot be read; Error when the port is taken.
 *
 * @example
 * ```ts
 * import { createMppClient } from 'mpp-flow'
 * import { inspectLocally } from 'mpp-flow/inspect'
 * import type { LocalAccount } from 'viem'
 *
 * export async function inspected(account: LocalAccount) {
 *   const inspector = await inspectLocally({ open: true })
 *   return createMppClient({ account, inspect: inspector.inspect })
 * }
 * ```
 */
export async function inspectLocally(options: InspectLocallyOptions = {}): Promise<LocalInspector> {
  const read = readOptions(inspectorOptions, options)
  const { port: wanted = 0, open: opens = false, title = 'mpp-flow inspector', token = createToken() } = read
  // The caller's own controls: what runs may rely on being called on its object.
  const { controls = [] } = options
  const thread = createLayoutThread()
  const book = createFlowBook(thread.layOut)
  const [assets] = await Promise.all([loadAssets(), book.prepare(drawingOf(paymentFlowMachine))])
  const hello: PageMessage = {
    type: 'hello',
    title,
    controls: controls.map(viewOf),
    codes: codeViews(),
    decimals: TOKEN_DECIMALS,
  }
  let programs = 0
  let stopped = false
  const readDefinition = definitionReader()
  const served = await serve({
    port: wanted,
    token,
    assets,
    onPage: (page) => talkTo(page, book, hello, controls),
    onProgram: (program) => {
      programs += 1
      const read = fromProtocol(book, `program ${programs}`, readDefinition)
      program.on('message', (data) => void read(readJson(data)))
    },
  })
  const { url } = served
  if (opens) await openInBrowser(url)
  const watch = fromXState(book)
  return {
    url,
    inspect: (event) => {
      if (!stopped) watch(event)
    },
    async stop() {
      stopped = true
      await Promise.all([served.stop(), thread.stop()])
    },
  }
}

function talkTo(page: WebSocket, book: FlowBook, hello: PageMessage, controls: readonly Control[]): void {
  const send = feed(page)
  send(hello)
  for (const message of book.messages()) send(message)
  send({ type: 'ready' })
  page.on('close', book.subscribe(send))
  page.on('message', (data) => {
    const read = press.safeParse(readJson(data))
    const control = controls.find(({ id }) => read.success && id === read.data.control)
    if (!read.success || control === undefined) return
    const answer = (ok: boolean, note: string): void => send({ type: 'pressed', control: control.id, ok, note })
    const { repeat, flow } = read.data
    const look = (name: string): void => send({ type: 'look', name })
    // In a promise of its own: a function that throws at once is answered like one that rejects.
    Promise.resolve()
      .then(() => control.run({ repeat, flow, look }))
      .then(
        (note) => answer(true, note),
        (error: unknown) => answer(false, error instanceof Error ? error.message : 'it failed'),
      )
  })
}

/** A machine without a browser has the address all the same. */
async function openInBrowser(url: string): Promise<void> {
  const { default: openUrl } = await import('open')
  const child = await openUrl(url)
  child.on('error', (error) => process.emitWarning(`no browser could be opened (${error.message}): open ${url}`))
}
