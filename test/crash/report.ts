// The matrix as a table, and as the one line that machines read.
// Must never leave out a row, nor round anything.

import Table from 'cli-table3'
import { pointOf, type Row } from './cases.js'
import type { CrowdResult } from './processes.js'

export interface Sums {
  /** Faults that were brought about. */
  readonly points: number
  /** Base units. */
  readonly lost: number
  readonly doubleChannels: number
  readonly doublePaid: number
}

const PLAIN = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '' },
  ...{ 'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' },
}

export function tableOf(rows: readonly Row[]): string {
  const table = new Table({
    head: ['operation', 'point', 'outcome'],
    chars: PLAIN,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  for (const { operation, fault, outcome } of rows) table.push([operation.name, pointOf(fault), outcome])
  return table.toString()
}

export function sumsOf(rows: readonly Row[]): Sums {
  return {
    points: rows.filter(({ fault }) => fault.kind !== 'none').length,
    lost: rows.reduce((sum, { audit }) => sum + Number(audit.lost), 0),
    doubleChannels: rows.reduce((sum, { audit }) => sum + audit.doubleChannels, 0),
    doublePaid: rows.reduce((sum, { audit }) => sum + audit.doublePaid, 0),
  }
}

/** Everything that is not as it must be, with the case where it happened. */
export function problemsOf(rows: readonly Row[]): readonly string[] {
  return rows.flatMap(({ operation, fault, audit }) => {
    const sums = [
      audit.lost === 0n ? [] : [`${audit.lost} base units lost`],
      audit.doubleChannels === 0 ? [] : ['two channels funded at once'],
      audit.doublePaid === 0 ? [] : ['paid twice'],
    ].flat()
    return [...sums, ...audit.problems].map((problem) => `${operation.name}, ${pointOf(fault)}: ${problem}`)
  })
}

/** What a crowd came to, in one line. */
export function crowdLine(result: CrowdResult): string {
  const { store, processes, requests, kills, answered, unheard, opens, seconds, perSecond, lost } = result
  const who = processes === 1 ? 'one process' : `${processes} processes`
  const what = `${answered} of ${processes * requests} answers got, ${unheard} lost with a killed process`
  const rate = `${seconds.toFixed(1)} s, ${perSecond.toFixed(0)} a second`
  return `${store}: ${who}, ${kills} killed: ${what}; ${rate}; ${opens} open, ${lost} units lost`
}
