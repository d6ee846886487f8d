// Reads the number of a port.
// Must never take a text for a port that is none.

import { usageError } from './exit.js'

/** @throws CommandError when it is no port. */
export function readPort(text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : -1
  if (port < 0 || port > 65_535) throw usageError('--port takes a number up to 65535')
  return port
}
