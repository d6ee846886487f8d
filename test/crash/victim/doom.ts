// The header by which a victim asks whoever its request arrives at to end it there and then.
// Must never have a meaning to the gateway or the node itself.

export const DOOM_HEADER = 'x-crash-on-arrival'
