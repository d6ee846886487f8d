// What a section of the benchmarks hands back: tables for people, figures for programs.
// Must never hold anything but numbers and words: no key, signature or credential.

import { z } from 'zod'
import { type Spread, spreadSchema } from './statistics.js'

const tableSchema = z.object({
  title: z.string(),
  /** How to read it, when the columns do not say it all. */
  note: z.string().exactOptional(),
  columns: z.array(z.string()),
  rows: z.array(z.array(z.string())),
})

export const sectionSchema = z.object({
  section: z.string(),
  tables: z.array(tableSchema),
  /** Every measured quantity by its name; units are part of the name. */
  figures: z.record(z.string(), spreadSchema),
})

export type Table = z.infer<typeof tableSchema>
export type SectionResult = z.infer<typeof sectionSchema>

/** How much is measured. */
export interface Effort {
  /** Under a minute for everything, and rougher. */
  readonly quick: boolean
}

/** A number with as many digits as it is worth. */
export function digits(value: number): string {
  const size = Math.abs(value)
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)
}

/** A median with its quartiles: `1.23 (1.20–1.31)`. */
export function told({ median, low, high }: Spread, unit = ''): string {
  return `${digits(median)}${unit} (${digits(low)}–${digits(high)})`
}

/** Byte counts as people read them. */
export function inBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes.toFixed(0)} B`
  return bytes < 1_000_000 ? `${digits(bytes / 1000)} kB` : `${digits(bytes / 1_000_000)} MB`
}
