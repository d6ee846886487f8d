// Prints reports as JSON, one object per line.
// Must never print anything else: other programs read it line by line.

import type { Reporter } from './reports.js'

/** @param write takes text for standard output. */
export function createJsonPrinter(write: (text: string) => void): Reporter {
  return (report) => write(`${JSON.stringify(report)}\n`)
}
