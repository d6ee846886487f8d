// A fetch over HTTP that takes headers of 20 MB, as a browser or another agent may; Node's own stops at 16 KB.
// Must never hide anything that came in: what is too long is the client's to refuse.
import { request as httpRequest } from 'node:http'

/** Bodies of answers are dropped. */
export const roomyFetch: typeof globalThis.fetch = async (input, init) => {
  const asked = new Request(input, init)
  const body = Buffer.from(await asked.arrayBuffer())
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(asked.url, {
      method: asked.method,
      headers: Object.fromEntries(asked.headers),
      maxHeaderSize: 20_000_000,
    })
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      const headers = new Headers()
      for (let at = 0; at + 1 < incoming.rawHeaders.length; at += 2) {
        headers.append(incoming.rawHeaders[at] ?? '', incoming.rawHeaders[at + 1] ?? '')
      }
      incoming.resume().on('end', () => resolve(new Response(null, { status: incoming.statusCode ?? 0, headers })))
    })
    outgoing.end(body)
  })
}
