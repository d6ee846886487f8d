// The names of the formats that paths are written in.
// Must never import what writes them: the command line is read before anything is loaded.

export const FORMATS = ['json', 'markdown', 'vitest'] as const

export type Format = (typeof FORMATS)[number]
