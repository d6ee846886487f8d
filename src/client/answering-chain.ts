// A viem client whose every answer is waited for with an end, whatever its transport does.
// Must never ask again by itself: how often a node is asked is said by the transport, and by the arrows of the chart.

import { type Client, createClient, custom, TimeoutError } from 'viem'
import { within } from './within.js'

/**
 * The same client; a question that is not answered within `ms` has failed. That counts the transport's own repetitions, and
 * the `Retry-After` of a node, which transports obey however long it is.
 */
export function answeringClient(client: Client, ms: number): Client {
  const { account, batch, cacheTime, ccipRead, chain, key, name, pollingInterval } = client
  // What viem throws for a node that does not answer; it would quote the question.
  const silent = (): TimeoutError => new TimeoutError({ body: {}, url: '' })
  const transport = custom(
    { request: (asked: Parameters<typeof client.request>[0]) => within(ms, client.request(asked), silent) },
    { retryCount: 0 },
  )
  return createClient({
    transport,
    cacheTime,
    key,
    name,
    pollingInterval,
    ...(account !== undefined && { account }),
    ...(batch !== undefined && { batch }),
    ...(ccipRead !== undefined && { ccipRead }),
    ...(chain !== undefined && { chain }),
  })
}
