// Dispatchers that an application has put in the place of Node's own, well behaved and not.
// Must never leave a caller waiting for an answer that will not come.

import { getEventListeners } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import type { Dispatcher, DispatchHandler } from '../../../src/client/transport/dispatcher.js'
import { sendOverNode } from '../../../src/client/transport/over-node.js'
import { bodyOf } from './parity.js'
import { outgoing, rejection } from './server.js'

const signal = new AbortController().signal
afterEach(() => expect(getEventListeners(signal, 'abort')).toEqual([]))

type Behaviour = (handler: DispatchHandler, abort: (reason?: unknown) => void) => void

function by(behaviour: Behaviour, init: Parameters<typeof outgoing>[1] = {}) {
  let aborts = 0
  const dispatcher: Dispatcher = {
    dispatch(_options, handler) {
      behaviour(handler, () => {
        aborts += 1
      })
    },
  }
  const exchange = sendOverNode(dispatcher, outgoing('http://a.example/', { ...init, signal }))
  return { exchange, aborts: () => aborts }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const RESUME = (): void => undefined

describe('a dispatcher of an application', () => {
  it('answers at once, within its dispatch', async () => {
    const { exchange } = by((handler, abort) => {
      handler.onConnect(abort)
      handler.onHeaders(200, ['X-Name', 'a'], RESUME, 'OK')
      handler.onData(bytes('all of it'))
      handler.onComplete()
    })
    const { response } = await exchange.answer
    expect([response.headers.get('x-name'), await response.text()]).toEqual(['a', 'all of it'])
  })

  it('is told of no time limit for the head: that is the policy’s alone', async () => {
    const told: unknown[] = []
    const dispatcher: Dispatcher = {
      dispatch: ({ headersTimeout }, handler) => {
        told.push(headersTimeout)
        handler.onError(new Error('enough'))
      },
    }
    await rejection(sendOverNode(dispatcher, outgoing('http://a.example/')).answer)
    expect(told).toEqual([0])
  })

  it('throws', async () => {
    const { exchange } = by(() => {
      throw new Error('out of order')
    })
    expect(await rejection(exchange.answer)).toMatchObject({ message: 'out of order' })
  })

  it('ends without an answer', async () => {
    const { exchange } = by((handler, abort) => {
      handler.onConnect(abort)
      handler.onComplete()
    })
    expect(await rejection(exchange.answer)).toBeInstanceOf(TypeError)
  })

  it('fails without ever connecting', async () => {
    const { exchange } = by((handler) => handler.onError(new Error('no way')))
    expect(await rejection(exchange.answer)).toMatchObject({ message: 'no way' })
  })

  it('gathers the values of a field, gives fields as bytes, or none at all', async () => {
    const gathered = by((handler) => {
      handler.onHeaders(200, [Buffer.from('Set-Cookie'), [Buffer.from('a=1'), Buffer.from('b=\xfc', 'latin1')]], RESUME)
      handler.onComplete()
    })
    expect((await gathered.exchange.answer).response.headers.getSetCookie()).toEqual(['a=1', 'b=\xfc'])
    const none = by((handler) => {
      handler.onHeaders(200, null, RESUME)
      handler.onComplete()
    })
    expect([...(await none.exchange.answer).response.headers]).toEqual([])
  })

  it('gives empty chunks, which a reader never sees', async () => {
    const { exchange } = by((handler) => {
      handler.onHeaders(200, [], RESUME)
      for (const part of ['', 'a', '', '', 'b', '']) setTimeout(() => handler.onData(bytes(part)))
      setTimeout(() => handler.onComplete(), 20)
    })
    const reader = (await exchange.answer).response.body?.getReader()
    const read: number[] = []
    for (let next = await reader?.read(); next?.done === false; next = await reader?.read())
      read.push(next.value.length)
    expect(read.every((length) => length > 0)).toBe(true)
    expect(read.reduce((sum, length) => sum + length, 0)).toBe(2)
  })

  it('uses its memory again: what a reader got does not change', async () => {
    const memory = bytes('first')
    const { exchange } = by((handler) => {
      handler.onHeaders(200, [], RESUME)
      handler.onData(memory)
      memory.fill(0)
      handler.onComplete()
    })
    expect(await (await exchange.answer).response.text()).toBe('first')
  })

  it('goes on after it was told to stop: nobody reads that', async () => {
    let later: DispatchHandler | null = null
    const { exchange, aborts } = by((handler, abort) => {
      later = handler
      handler.onConnect(abort)
      handler.onHeaders(200, [], RESUME)
      handler.onData(bytes('one'))
    })
    const { response } = await exchange.answer
    exchange.abort()
    const told = later as DispatchHandler | null
    expect(told?.onData(bytes('two'))).toBe(false)
    told?.onComplete()
    expect(await bodyOf(response)).toMatch(/^AbortError/)
    expect(aborts()).toBe(1)
  })

  it('connects when the caller has left already: it is told so', async () => {
    let connect: () => void = () => undefined
    const { exchange, aborts } = by((handler, abort) => {
      connect = () => handler.onConnect(abort)
    })
    exchange.abort()
    expect(await rejection(exchange.answer)).toMatchObject({ name: 'AbortError' })
    expect(aborts()).toBe(0)
    connect()
    expect(aborts()).toBe(1)
  })

  it('sends content where none may be: its connection is ended', async () => {
    const { exchange, aborts } = by((handler, abort) => {
      handler.onConnect(abort)
      handler.onHeaders(205, [], RESUME)
      handler.onData(bytes('content'))
    })
    expect((await exchange.answer).response.body).toBe(null)
    expect(aborts()).toBe(1)
  })
})
