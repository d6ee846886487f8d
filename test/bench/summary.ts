// The few ratios that a run comes to, and the targets they are held against.
// Must never be computed from anything but what the sections measured.

import { z } from 'zod'
import type { SectionResult } from './result.js'
import type { Spread } from './statistics.js'

export const summarySchema = z.object({
  latency: z.object({ ratioToFetch: z.number(), ratioToMppx: z.number() }),
  throughput: z.object({ c32RatioToFetch: z.number() }),
  growth: z.object({ maxDrift: z.number() }),
  heapPerFlowBytes: z.number(),
})

export type Summary = z.infer<typeof summarySchema>

export interface Target {
  readonly name: string
  readonly target: string
  readonly measured: string
  readonly met: boolean
}

type Figures = ReadonlyMap<string, Spread>

export function figuresOf(sections: readonly SectionResult[]): Figures {
  return new Map(sections.flatMap(({ figures }) => Object.entries(figures)))
}

function median(figures: Figures, name: string): number {
  const found = figures.get(name)
  if (found === undefined) throw new Error(`nothing was measured as "${name}"`)
  return found.median
}

function matching(figures: Figures, pattern: RegExp): number[] {
  const found = [...figures].filter(([name]) => pattern.test(name)).map(([, spread]) => spread.median)
  if (found.length === 0) throw new Error(`nothing was measured as ${pattern}`)
  return found
}

/** @throws Error when a section that it needs was left out. */
export function summarise(figures: Figures): Summary {
  const drifts = matching(figures, /^growth, .*times the first$/).map((ratio) => Math.abs(ratio - 1))
  return {
    latency: {
      ratioToFetch: median(figures, 'latency 1 KB, mpp-flow, times two plain fetches'),
      ratioToMppx: median(figures, 'latency 1 KB, mppx session manager, mpp-flow is this many times it'),
    },
    throughput: { c32RatioToFetch: median(figures, 'throughput at 32, mpp-flow, times two plain fetches') },
    growth: { maxDrift: Math.max(...drifts) },
    heapPerFlowBytes: Math.max(...matching(figures, /^heap per flow, /)),
  }
}

export function targets({ latency, throughput, growth, heapPerFlowBytes }: Summary): Target[] {
  const atMost = (name: string, measured: number, most: number, unit = '×'): Target => ({
    name,
    target: `≤ ${most} ${unit}`,
    measured: `${measured.toFixed(2)} ${unit}`,
    met: measured <= most,
  })
  const c32 = throughput.c32RatioToFetch
  return [
    atMost('latency at 1 KB ÷ two plain fetches', latency.ratioToFetch, 1.25),
    atMost('latency at 1 KB ÷ mppx session manager', latency.ratioToMppx, 0.65),
    {
      name: 'throughput at 32 ÷ two plain fetches',
      target: '≥ 0.8 ×',
      measured: `${c32.toFixed(2)} ×`,
      met: c32 >= 0.8,
    },
    atMost('largest growth of the cost of a request', growth.maxDrift * 100, 10, '%'),
    atMost('heap per flow in flight', heapPerFlowBytes / 1000, 10, 'kB'),
  ]
}
