// Which codes have an event of their own.

import { MPP_CODES, PROBLEM_TYPES, type RejectionEvent } from '../../machines/index.js'

const REJECTIONS: ReadonlySet<string> = new Set([...MPP_CODES, ...PROBLEM_TYPES])

/** Whether a code of the gateway, or a standard problem type, has an event of its own. */
export function isKnownCode(code: string): code is RejectionEvent['type'] {
  return REJECTIONS.has(code)
}
