// A refusal carries the records that can be read, and they hold signatures.
// Must never let whoever prints an error print those.

import { inspect } from 'node:util'
import { expect, it } from 'vitest'
import { StoreError } from '../../src/sessions/index.js'
import { KEY, recordAt } from './channel-records.js'

it('shows nothing of the records that it carries, however it is printed', () => {
  const signature = `0x${'ab'.repeat(65)}` as const
  const record = {
    ...recordAt(KEY),
    secrets: { voucher: { cumulative: '0', signature }, pendingTransaction: signature, resource: null },
  }
  const error = new StoreError('damaged', 'one of them cannot be read', { intact: [record] })
  expect(error.intact).toEqual([record])
  const printed = [
    inspect(error, { depth: null, showHidden: true, getters: false }),
    JSON.stringify(error),
    JSON.stringify({ ...error }),
    JSON.stringify(structuredClone(error)),
    `${error} ${error.stack}`,
  ]
  for (const text of printed) {
    expect(text).not.toContain('abab')
    expect(text).not.toContain(KEY)
  }
  expect(printed[0]).toContain('one of them cannot be read')
})
