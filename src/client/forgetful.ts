// Says once per client that a ledger in memory forgets its channels, when one is opened at a gateway of elsewhere.

import { isLoopback } from './policy.js'

/** Called with the URL at which a channel was opened. */
export type NoteOpening = (url: Readonly<URL>) => void

/** For a client that was given no store. */
export function warnOnce(): NoteOpening {
  let said = false
  return (url) => {
    if (said || isLoopback(url)) return
    said = true
    // biome-ignore lint/suspicious/noConsole: what is told here has no other way to its reader
    console.warn(
      'mpp-flow: the channels of this client are kept in memory and forgotten with the process; their deposits stay ' +
        'locked until sessions.recover() finds them. Give createMppClient a store that lasts, such as ' +
        'fileStore(folder) or postgresStore({ pool }); with store: memoryStore() this is not said.',
    )
  }
}
