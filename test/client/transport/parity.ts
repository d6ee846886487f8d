// What a caller can see of an answer, so that two of them can be compared.
// Must never leave out what differs.
import { createHash } from 'node:crypto'
import { send } from './server.js'

/** What one can see of a response without reading it. */
export function headOf(response: Response): Record<string, unknown> {
  const { status, statusText, ok, url, redirected, type, headers } = response
  const body = response.body === null ? 'none' : 'some'
  return { status, statusText, ok, url, redirected, type, headers: [...headers], cookies: headers.getSetCookie(), body }
}

/** Its bytes (when they are many, what stands for them), or the error that reading them ends with. */
export async function bodyOf(response: Response): Promise<string> {
  try {
    const bytes = Buffer.from(await response.arrayBuffer())
    return bytes.length < 100
      ? bytes.toString('latin1')
      : `${bytes.length}: ${createHash('sha256').update(bytes).digest('hex')}`
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : `thrown: ${String(error)}`
  }
}

/** All that can be seen of an answer; that there is none, when there is none. */
async function seenOf(response: Promise<Response>): Promise<unknown> {
  const failed = Symbol('failed')
  const answer = await response.catch(() => failed)
  if (!(answer instanceof Response)) return 'no answer'
  const head = headOf(answer)
  const copy = answer.clone()
  expectSame(headOf(copy), head)
  const [body, copied] = await Promise.all([bodyOf(answer), bodyOf(copy)])
  expectSame(copied, body)
  return { ...head, body: head.body === 'none' ? 'none' : body }
}

function expectSame(one: unknown, other: unknown): void {
  if (JSON.stringify(one) !== JSON.stringify(other))
    throw new Error(`${JSON.stringify(one)} is not ${JSON.stringify(other)}`)
}

/** One answer as fetch gives it, and as the transport does. */
export async function both(
  url: string,
  init: { method?: string; headers?: HeadersInit } = {},
): Promise<{ readonly ours: unknown; readonly theirs: unknown }> {
  const theirs = await seenOf(fetch(url, { ...init, redirect: 'manual' }))
  const ours = await seenOf(send(url, init).then((incoming) => incoming.response))
  return { ours, theirs }
}
