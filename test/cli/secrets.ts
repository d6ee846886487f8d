// Collects what must not be printed: keys, and everything signed that a gateway has seen.
// Must never be used on gateways that saw no credential: nothing would be looked for.

import type { WatchedGateway } from '../client/stage.js'
import { printed } from './run-program.js'

/** Which secrets stand in anything that a program of this file has printed, and where. */
export function leaks(gateways: readonly WatchedGateway[], keys: readonly string[], prompt: string): string[] {
  const secrets = new Map<string, string>([['a credential', 'Payment ey']])
  for (const key of keys) secrets.set(`key ${secrets.size}`, key.slice(2))
  for (const { authorization, credential } of gateways.flatMap(({ seen }) => seen)) {
    if (authorization === undefined || credential === undefined) continue
    const { payload } = credential
    // However it is cut: the beginning is the challenge, the end the signature.
    secrets.set(`credential ${secrets.size}`, authorization.slice('Payment '.length).slice(0, 60))
    secrets.set(`credential ${secrets.size}`, authorization.slice(-60))
    if ('signature' in payload) secrets.set(`signature ${secrets.size}`, payload.signature.slice(2, 66))
    if ('transaction' in payload) secrets.set(`transaction ${secrets.size}`, payload.transaction.slice(-130))
  }
  if (![...secrets.keys()].some((name) => name.startsWith('signature'))) throw new Error('no gateway saw a signature')
  // Only the answer may quote the prompt, and only where the answer goes.
  secrets.set('the prompt', prompt)
  return printed.flatMap(({ args, stdout, stderr }) => {
    const text = (stdout + stderr).toLowerCase()
    const found = [...secrets].filter(([, secret]) => text.includes(secret.toLowerCase())).map(([name]) => name)
    if (stderr.includes('chat.completion')) found.push('the answer on standard error')
    return found.map((name) => `${name} in ${args[0]}`)
  })
}
