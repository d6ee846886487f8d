// Who may call the chain's endpoint: programs and pages of this machine.
// Must never answer a page from elsewhere, also when its name was made to point here.
import type { IncomingHttpHeaders } from 'node:http'

const LOOPBACK = /^(localhost|.+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/** Whether a URL, or the origin of a page, is on this machine. An opaque origin (`null`) is not. */
function isLocal(url: string): boolean {
  return URL.canParse(url) && LOOPBACK.test(new URL(url).hostname)
}

/**
 * Whether a request may be answered. Browsers name the page that calls in `Origin`, and the name by which they reached
 * this machine in `Host`; other programs send no `Origin`.
 */
export function isLocalCaller({ host, origin }: IncomingHttpHeaders): boolean {
  if (!isLocal(`http://${host ?? ''}`)) return false
  return origin === undefined || isLocal(origin)
}
