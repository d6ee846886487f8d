// Runs the gateway that answers from memory in a process of its own, so that what is measured is the client.
// Must never outlive the run that started it.

import { startMemoryHttp } from './memory-http.js'

const { url } = await startMemoryHttp()
process.send?.({ url })
process.on('disconnect', () => process.exit())
