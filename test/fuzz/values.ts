// Values and messages as somebody would write them who wants a reader to fail.
// Must never be harmless only: each kind has broken a reader somewhere.
import type { Random } from './random.js'

const NAMES = [
  'type',
  '__proto__',
  'constructor',
  'toJSON',
  'states',
  'on',
  'id',
  'initial',
  'always',
  'value',
  '',
  '0',
]
const TEXTS = [
  '',
  'a',
  '*',
  '.',
  'xstate.init',
  '__proto__',
  '\u0000',
  '\ud800',
  'x'.repeat(700),
  '#a.b',
  '<b>',
  '1e999',
]

/** Any JSON value; now and then one that is deep, wide or long. Text, because no value nests as deep as a text can. */
export function jsonText(random: Random, depth = 0): string {
  switch (random.below(depth > 3 ? 5 : 9)) {
    case 0:
      return random.pick(['null', 'true', 'false'])
    case 1:
      return random.pick(['0', '-1', '1e308', '5', '0.1'])
    case 2:
    case 3:
      return JSON.stringify(random.pick(TEXTS))
    case 4: {
      if (!random.once(300)) return '{}'
      const levels = random.pick([10, 70, 1_000, 20_000])
      const [open, close] = random.pick([
        ['[', ']'],
        ['{"a":', '}'],
        ['{"states":', '}'],
      ] as const)
      return `${open.repeat(levels)}1${close.repeat(levels)}`
    }
    case 5:
    case 6:
      return `[${list(random, () => jsonText(random, depth + 1))}]`
    default:
      return `{${list(random, () => `${JSON.stringify(random.pick(NAMES))}:${jsonText(random, depth + 1)}`)}}`
  }
}

const list = (random: Random, item: () => string): string =>
  Array.from({ length: random.below(random.once(100) ? 200 : 4) }, item).join(',')

/** The same text with one of its values replaced, or some of its characters changed. */
export function mutated(text: string, random: Random): string {
  const values = [...text.matchAll(/:("[^"]*"|\d+|null|true|false|\{\}|\[\])/g)]
  if (values.length > 0 && !random.once(4)) {
    const { index, 1: value = '' } = random.pick(values)
    return text.slice(0, index + 1) + jsonText(random) + text.slice(index + 1 + value.length)
  }
  const at = random.below(text.length + 1)
  return (
    text.slice(0, at) + random.pick(['', '{', '}', '"', ',', '\\', '\u0000', 'é']) + text.slice(at + random.below(4))
  )
}

const LIGHT = JSON.stringify({
  id: 'light',
  initial: 'red',
  context: { count: 0 },
  states: {
    red: { description: 'Stop.', tags: ['a'], on: { GO: [{ guard: 'may', target: 'deciding' }, { target: 'green' }] } },
    deciding: { always: [{ guard: 'one', target: 'green' }, { target: '#light.red' }], entry: 'note' },
    green: {
      type: 'parallel',
      states: { x: { initial: 'a', states: { a: {}, b: { type: 'final' } } }, y: {} },
      on: { '*': 'red' },
    },
    asking: { invoke: { src: 'ask', id: 'ask', onDone: 'green', onError: 'red' }, after: { 100: 'red' } },
    back: { type: 'history', target: 'red' },
  },
})

/** A message of the inspector protocol, or what looks like one. */
export function protocolMessage(random: Random): string {
  const sessionId = `x:${random.below(4)}`
  const snapshot = {
    status: random.pick(['active', 'done', 'error', 'stopped']),
    value: random.pick<unknown>(['red', 'deciding', { green: { x: 'a', y: {} } }, 'nowhere', {}]),
    context: { count: 1, flow: 'f', purpose: 'pay', nested: { a: [1, 'x', null] } },
  }
  const event = { type: random.pick(['GO', 'xstate.init', 'STOP', '']), payload: 'x' }
  switch (random.below(8)) {
    case 0:
    case 1: {
      const definition = random.once(4) ? mutated(LIGHT, random) : LIGHT
      const actor = JSON.stringify({ type: '@xstate.actor', sessionId, name: 'n', definition, snapshot })
      return random.once(3) ? mutated(actor, random) : actor
    }
    case 2:
      return mutated(JSON.stringify({ type: '@xstate.event', sessionId, sourceId: 'x:0', event }), random)
    case 3:
      return jsonText(random)
    case 4:
      return mutated(JSON.stringify({ type: 'press', control: 'c', repeat: false, flow: null }), random)
    default: {
      const text = JSON.stringify({ type: '@xstate.snapshot', sessionId, snapshot, event })
      return random.once(2) ? mutated(text, random) : text
    }
  }
}

const METHODS = [
  'eth_chainId',
  'eth_call',
  'eth_sendRawTransaction',
  'eth_estimateGas',
  'eth_getLogs',
  'anvil_reset',
  'no',
]

/** A JSON-RPC request, a batch, or what looks like one. */
export function rpcBody(random: Random): string {
  const one = (): string => {
    const params = random.pick<unknown>([
      [],
      [{ to: `0x${'11'.repeat(20)}`, data: '0x' }, 'latest'],
      ['0x76c0'],
      {},
      'x',
    ])
    const text = JSON.stringify({ jsonrpc: '2.0', id: random.below(9), method: random.pick(METHODS), params })
    return random.once(2) ? mutated(text, random) : text
  }
  return random.once(4) ? `[${list(random, one)}]` : one()
}
