// Refuses a command line with a key in it.
// Must never repeat what was given: a message ends up in logs.

import { usageError } from './exit.js'

/** Options that other programs have for keys; here they are refused, with or without a value. */
const KEY_ARGUMENT = /^--?((private|secret|payer|voucher|wallet)[-_]?)?key(=|$)/i

/** @throws CommandError when a key is given as an argument: everybody on the machine can read those. */
export function refuseKeyArguments(args: readonly string[]): void {
  if (!args.some((arg) => KEY_ARGUMENT.test(arg))) return
  throw usageError(
    'a key is never taken from an argument: other users can read it, and the shell keeps it. ' +
      'Put it into a file that only you can read (--key-file), or into MPP_FLOW_KEY. ' +
      'If it was a key in use, move what it holds to a new one',
  )
}
