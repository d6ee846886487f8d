// Requests and frames as bytes, written by hand: no client would send most of them.
// Must never wait for time to pass: every connection is over when its server has closed it or it was reset.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Random } from './random.js'
import { jsonText, protocolMessage, rpcBody } from './values.js'

/** A server under attack. */
export interface Target {
  readonly port: number
  /** Paths it answers, with what has to be known to be let in. */
  readonly paths: readonly string[]
  readonly body: (random: Random) => string
}

const METHODS = ['GET', 'POST', 'HEAD', 'OPTIONS', 'PUT', 'CONNECT', 'TRACE', 'PRI', 'get', 'G\u0000T', '']
const TARGETS = [
  '//',
  '/',
  '///x',
  '*',
  '',
  'http://',
  'http://[',
  '//@:0',
  '/%',
  '/%ff%00',
  '/..//..',
  '?',
  '/\u00e9\u00ff',
  ':80',
]
const AUTHORIZATIONS = ['Payment ', 'Payment e30', 'Bearer x', 'Payment {', 'Payment ', 'Basic \u00ff', 'Payment a.b.c']
const VALUES = ['', 'x', '\u00ff\u0080', 'a, b', '0', '-1', '9'.repeat(30), 'x'.repeat(9_000), '\t', 'null']

function headerLines(random: Random, port: number, length: number): string[] {
  const lines = [
    `Host: ${random.once(6) ? random.pick(['', 'evil.example', '[', 'a:b:c', '127.0.0.1']) : `127.0.0.1:${port}`}`,
  ]
  if (random.once(3))
    lines.push(
      `Origin: ${random.pick(['null', 'https://evil.example', `http://127.0.0.1:${port}`, '\u00ff', 'http://['])}`,
    )
  if (random.once(4)) {
    const version = random.pick(['13', '8', '99', 'x'])
    const key = random.pick(['dGhlIHNhbXBsZSBub25jZQ==', 'short', ''])
    lines.push('Connection: Upgrade', `Upgrade: ${random.pick(['websocket', 'h2c', 'websocket, x', ''])}`)
    lines.push(`Sec-WebSocket-Version: ${version}`, `Sec-WebSocket-Key: ${key}`)
    if (random.once(4)) lines.push(`Sec-WebSocket-Extensions: ${random.pick(['permessage-deflate; =', 'x;;', ','])}`)
    if (random.once(4)) lines.push(`Sec-WebSocket-Protocol: ${random.pick(['a,,b', ' ', 'a, a'])}`)
  }
  if (random.once(3)) lines.push(`Authorization: ${random.pick(AUTHORIZATIONS)}`)
  if (random.once(4)) {
    const name = random.pick([
      'Access-Control-Request-Headers',
      'X-Request-Id',
      'Accept',
      'Cookie',
      'Content-Type',
      'Expect',
      'x\u00ff',
      '',
    ])
    lines.push(`${name}: ${random.pick([...VALUES, '100-continue'])}`)
  }
  if (random.once(8)) lines.push(`Transfer-Encoding: ${random.pick(['chunked', 'chunked, chunked', 'x'])}`)
  else if (length > 0 || random.once(3)) {
    lines.push(
      `Content-Length: ${random.once(8) ? random.pick(['0', '-1', '1e3', '99999999999', 'x', String(length + 1)]) : length}`,
    )
  }
  return lines
}

/** One request, complete or not, proper or not. */
function requestBytes(random: Random, { port, paths, body }: Target): Buffer {
  if (random.once(12)) return random.bytes(random.below(300))
  const method = random.once(3) ? random.pick(METHODS) : random.pick(['GET', 'POST'])
  const path = random.once(3)
    ? random.pick(TARGETS)
    : random.pick(paths) + random.pick(['', '', '', '/', '//', '?', '?%', '/../x'])
  const text = method === 'GET' ? '' : random.once(3) ? jsonText(random) : body(random)
  const content = Buffer.from(text)
  const head = [`${method} ${path} HTTP/${random.once(15) ? random.pick(['1.0', '2.0', '9', '']) : '1.1'}`]
  const lines = [...head, ...headerLines(random, port, content.length), '', '']
  const whole = Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), content])
  return random.once(10) ? whole.subarray(0, random.below(whole.length + 1)) : whole
}

/** Sends some requests on one connection, and waits until it is over. @returns how many */
export async function sendRequests(random: Random, target: Target): Promise<number> {
  const requests = Array.from({ length: 1 + random.below(6) }, () => requestBytes(random, target))
  const ending = random.below(4)
  const socket = connect({ port: target.port, host: '127.0.0.1', allowHalfOpen: false })
  socket.on('error', () => undefined)
  const over = new Promise((resolve) => socket.once('close', resolve))
  socket.on('data', () => {
    // As soon as the server speaks it is cut off, while it may still be speaking.
    if (ending === 0) socket.destroy()
  })
  socket.write(Buffer.concat(requests), () => {
    if (ending === 1) socket.resetAndDestroy()
    else socket.end()
  })
  await over
  return requests.length
}

/** On one connection. A frame that breaks the protocol ends it, and those after it are not read. */
const FRAMES = 100

function frame(random: Random, payload: Buffer): Buffer {
  const proper = !random.once(300)
  const opcode = proper ? random.pick([1, 1, 1, 1, 1, 2, 9]) : random.below(16)
  const content = opcode === 9 && proper ? payload.subarray(0, 125) : payload
  const first = (proper || random.once(2) ? 0x80 : random.below(8) << 4) | opcode
  const masked = proper || random.once(2) ? 0x80 : 0
  const length = proper ? content.length : random.pick([content.length, 0, 2 ** 31, 125])
  const head =
    length < 126 ? Buffer.from([first, masked | length]) : Buffer.from([first, masked | 127, ...Buffer.alloc(8)])
  if (length >= 126) head.writeBigUInt64BE(BigInt(length), 2)
  // A mask of zeros leaves the payload as it is.
  return Buffer.concat([head, Buffer.alloc(masked === 0 ? 0 : 4), content])
}

async function upgraded(port: number, path: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => undefined)
  const lines = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
  socket.write([`GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, ...lines, key, '', ''].join('\r\n'))
  const [answer] = (await once(socket, 'data')) as [Buffer]
  if (!answer.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error('the upgrade was refused')
  return socket
}

const LAST_PING = Buffer.concat([Buffer.from([0x89, 0x84]), Buffer.alloc(4), Buffer.from('last')])

/** Sends frames on one WebSocket until it is closed or all were read. @returns how many */
export async function sendFrames(random: Random, port: number, path: string): Promise<number> {
  const socket = await upgraded(port, path)
  const frames = Array.from({ length: FRAMES }, () =>
    frame(random, random.once(40) ? random.bytes(random.below(200)) : Buffer.from(protocolMessage(random))),
  )
  let read = Buffer.alloc(0)
  const over = new Promise((resolve) => socket.once('close', resolve))
  socket.on('data', (data) => {
    read = Buffer.concat([read.subarray(-8), data])
    // The answer to the last ping: everything before it was read.
    if (read.includes('last')) socket.destroy()
  })
  const reset = random.once(10)
  socket.write(Buffer.concat([...frames, LAST_PING]), () => {
    if (reset) socket.resetAndDestroy()
    // A frame that says it is longer than it is would make the server wait for its rest.
    else socket.end()
  })
  await over
  return frames.length
}

/** What a body is for each of the servers. */
export const BODIES = { rpc: rpcBody, any: jsonText }
