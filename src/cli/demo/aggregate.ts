// Follows many flows at once: says when all of them have come to the same point, and where they are meanwhile.
// Must never print a line per flow.

import { lastPart } from '../transition-words.js'
import type { TransitionReport } from './reports.js'

/** All flows have done the same thing, each for the n-th time. */
export interface Milestone {
  readonly transition: TransitionReport
  readonly flows: number
}

export interface Aggregate {
  /** Notes a step. Returns the milestones that are complete with it. */
  note(transition: TransitionReport): Milestone | null
  /** Points that only some flows have come to, for when all are over. */
  rest(): readonly Milestone[]
  /** How many flows are in which state now: `paying 12, succeeded 8`. */
  whereabouts(): string
}

/** @param notable tells whether a step is worth a milestone, by a name; null when it is not. */
export function createAggregate(flows: number, notable: (transition: TransitionReport) => string | null): Aggregate {
  const places = new Map<number, string>()
  const visits = new Map<string, number>()
  const points = new Map<string, Milestone>()

  return {
    note(transition) {
      places.set(transition.flow, lastPart(transition.state))
      const name = notable(transition)
      if (name === null) return null
      const visit = `${transition.flow} ${name}`
      const times = (visits.get(visit) ?? 0) + 1
      visits.set(visit, times)
      const point = `${name} ${times}`
      const milestone = { transition, flows: (points.get(point)?.flows ?? 0) + 1 }
      points.set(point, milestone)
      if (milestone.flows < flows) return null
      points.delete(point)
      return milestone
    },
    rest: () => [...points.values()],
    whereabouts() {
      const counts = new Map<string, number>()
      for (const place of places.values()) counts.set(place, (counts.get(place) ?? 0) + 1)
      return [...counts].map(([place, count]) => `${place} ${count}`).join(', ')
    },
  }
}
