// The commands `sessions list` and `sessions show`: what the ledger knows of channels.
// Must never change anything; what is shown is a summary that holds no signature.

import { totalSessions } from '../../client/sessions.js'
import { createLedger } from '../../sessions/index.js'
import type { CommandRun } from '../command-run.js'
import { EXIT } from '../exit.js'
import { storeOptions } from '../payer.js'
import type { Given } from '../perform.js'
import { openStore, storeFolder } from '../store.js'
import { readChannels, theChannel } from './channel.js'
import { channelFacts, channelTable, totalsLines } from './tables.js'

/** Lists every channel that can be read, and the sums of all when all can. */
export async function listChannels(run: CommandRun, { options }: Given): Promise<number> {
  const given = storeOptions.parse(options)
  const store = await openStore(given, 'read')
  const { sessions, unreadable } = await readChannels(store)
  const totals = unreadable === null ? await totalSessions(createLedger({ store })) : null
  const exitCode = unreadable === null ? EXIT.ok : EXIT.failed
  if (run.json) {
    await run.writeJson({
      status: unreadable === null ? 'listed' : 'incomplete',
      exitCode,
      sessions,
      totals,
      unreadable,
    })
    return exitCode
  }
  if (sessions.length > 0) await run.write(channelTable(sessions, run.colors) + totalsLines(totals ?? []))
  // What cannot be read may be a channel.
  else if (unreadable === null) run.note(`No channels in ${storeFolder(given)}`)
  if (unreadable !== null) run.complain(unreadable)
  return exitCode
}

/** Shows one channel. @throws CommandError when it is not known, or when the text says more than one. */
export async function showChannel(run: CommandRun, { options, args }: Given): Promise<number> {
  const session = await theChannel(await openStore(storeOptions.parse(options), 'read'), args[0])
  await (run.json ? run.writeJson({ session }) : run.write(channelFacts(session, run.colors)))
  return EXIT.ok
}
