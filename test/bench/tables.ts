// Writes tables for a terminal or for docs/performance.md.
// Must never round or reorder what it is given.

import Table from 'cli-table3'
import type { Table as Rows } from './result.js'

/** For a terminal. */
export function asText({ title, note, columns, rows }: Rows): string {
  const table = new Table({ head: [...columns], style: { head: [], border: [] } })
  table.push(...rows.map((row) => [...row]))
  return [title, table.toString(), ...(note === undefined ? [] : [note])].join('\n')
}

/** For a Markdown page. */
export function asMarkdown({ title, note, columns, rows }: Rows): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const lines = [line(columns), line(columns.map((_, at) => (at === 0 ? '---' : '---:'))), ...rows.map(line)]
  return [`### ${title}`, '', ...(note === undefined ? [] : [note, '']), ...lines].join('\n')
}
