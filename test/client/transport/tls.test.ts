// Over TLS: who the server is counts as much as for fetch, and encodings are asked for that proxies do not tamper with.
// Must never be done with a key that protects anything: this one is for these tests alone.
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import { brotliCompressSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { listening, rejection, send, undiciIsUsed } from './server.js'

beforeAll(undiciIsUsed)

const CERTIFICATE = `
-----BEGIN CERTIFICATE-----
MIIBkTCCATagAwIBAgIUJvADz2Gx1pRp9hTt/NJu/RWht7UwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNjE1MTYwNVoYDzIxMjYxMTAy
MTUxNjA1WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARpLHegUv6fjPRNlFZgJaJWqa7ZQwPFpsiUV1XtiUH4C+d9opZ6gd9a
MxPMThiaRhHeDeFcZYkjMmg+5iDjAUF6o2QwYjAdBgNVHQ4EFgQUFpiGEfHDRDNi
myLd4XlZhGm6fJ8wHwYDVR0jBBgwFoAUFpiGEfHDRDNimyLd4XlZhGm6fJ8wDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0kAMEYC
IQCA53E01RO9HGPjrR3jWAZ0SlyuzcohqgMZAIJnzcW1MAIhAOGwpHq5EkS2fPsY
INvPr4kN1GJqCq5B9BX/C8OtAf8o
-----END CERTIFICATE-----
`
const KEY = `
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgC5k8nxcdYTT3FK02
4jez8KbfDv7VfwuAgRGN3hgSIpahRANCAARpLHegUv6fjPRNlFZgJaJWqa7ZQwPF
psiUV1XtiUH4C+d9opZ6gd9aMxPMThiaRhHeDeFcZYkjMmg+5iDjAUF6
-----END PRIVATE KEY-----
`

let server: Server
let url: string
const asked: string[] = []
beforeAll(async () => {
  server = createServer({ cert: CERTIFICATE, key: KEY }, (request, response) => {
    asked.push(String(request.headers['accept-encoding']))
    response.setHeader('content-encoding', 'br').end(brotliCompressSync('over TLS'))
  })
  url = `https://127.0.0.1:${await listening(server)}`
})
afterEach(() => {
  delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
  asked.splice(0)
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

describe('over TLS', () => {
  it('a server that nobody vouches for gets nothing', async () => {
    expect(await rejection(send(url, { method: 'POST', body: Buffer.from('secret') }))).toMatchObject({
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    })
    expect(asked).toEqual([])
  })

  it('no encoding is asked for that fetch does not ask for, and what comes is decoded', async () => {
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    expect(await (await send(url)).response.text()).toBe('over TLS')
    await (await fetch(url)).text()
    const [ours, theirs] = asked.map((value) => value.split(', '))
    expect(ours).toContain('br')
    expect(theirs).toEqual(expect.arrayContaining(ours ?? []))
  })
})
