// What `#undici` is outside of Node: there, fetch is the only way.

export const getGlobalDispatcher = undefined
