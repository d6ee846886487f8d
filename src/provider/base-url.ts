// Where the account-owned routes are, as the one origin that may see the Virtual Key.
// Must never accept plain http to another machine, or an address that carries a password.

import { OptionError } from '../options/index.js'

/** The route's address under a base URL that may or may not end in `/v1`. */
export type RouteUrl = (route: 'models' | 'chat/completions') => URL

const LOOPBACK = /^(?:localhost|.+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/**
 * Reads the base URL a caller configured.
 *
 * @throws OptionError when it is no absolute URL, is not https (loopback apart), or has credentials, a query or a fragment.
 */
export function routesUnder(baseUrl: string): RouteUrl {
  if (!URL.canParse(baseUrl)) throw new OptionError('baseUrl', 'baseUrl is not an absolute URL')
  const base = new URL(baseUrl)
  if (base.protocol !== 'https:' && !(base.protocol === 'http:' && LOOPBACK.test(base.hostname)))
    throw new OptionError('baseUrl', 'baseUrl must be https: a Virtual Key does not travel in the clear')
  if (base.username !== '' || base.password !== '' || base.search !== '' || base.hash !== '')
    throw new OptionError('baseUrl', 'baseUrl must have no credentials, query or fragment')
  const prefix = base.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')
  return (route) => new URL(`${prefix}/v1/${route}`, base.origin)
}
