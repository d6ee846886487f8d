// What `#undici` is outside of Node: there, fetch is the only way.

import type { Dispatcher } from './dispatcher.js'

export const getGlobalDispatcher: (() => Dispatcher) | undefined = undefined
