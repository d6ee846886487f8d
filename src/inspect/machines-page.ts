// Writes docs/machines.md: what each state of each machine means, what it waits for, and what leaves it.
// Must never know a state by itself: what it says is read from the machines.

import { type GraphState, type GraphTransition, type MachineGraph, machineGraph } from './diagram/graph.js'
import { PICTURES } from './pictures.js'

const TAGS: Readonly<Record<string, string>> = {
  network: 'the network',
  wallet: 'the account, to sign',
  waiting: 'time, others or a person',
}

function waitsFor({ effects, tags, type, children }: GraphState): string {
  if (type === 'final') return 'Nothing: the end.'
  const shown = effects.map((effect) => `\`${effect}\``).join(', ')
  const kinds = tags.flatMap((tag) => TAGS[tag] ?? [])
  if (effects.length > 0) return kinds.length === 0 ? `${shown}.` : `${shown}: ${kinds.join(' and ')}.`
  return children.length > 0
    ? 'What the states in it wait for.'
    : 'Nothing: it decides at once, or hears what others report.'
}

function pathOf(graph: MachineGraph, id: string): string {
  return graph.states.find((state) => state.id === id)?.path ?? id
}

/** Where arrows of one state lead, and by what: `→ openingSession, if planOpens: APPROVE`. */
function leavesBy(graph: MachineGraph, arrows: readonly GraphTransition[]): readonly string[] {
  const byTarget = new Map<string, string[]>()
  for (const { target, event, guard } of arrows) {
    const to = target === null ? 'stays' : `→ \`${pathOf(graph, target)}\``
    const where = guard === null ? to : `${to}, if *${guard}*`
    byTarget.set(where, [...(byTarget.get(where) ?? []), ...(event === '' ? [] : [`\`${event}\``])])
  }
  return [...byTarget].map(([where, events]) => `- ${where}${events.length === 0 ? '' : `: ${events.join(', ')}`}`)
}

function section(graph: MachineGraph, state: GraphState): string {
  const arrows = graph.transitions.filter(({ source }) => source === state.id)
  const leaves = leavesBy(graph, arrows)
  const starts = state.initial === null ? [] : [`It starts in \`${pathOf(graph, state.initial)}\`.`]
  const heading = state.path === '' ? '### In any state' : `### ${state.path}`
  const waits = state.path === '' ? [] : [`*Waits for*: ${waitsFor(state)}`]
  return [heading, state.description, ...starts, ...waits, ...(leaves.length === 0 ? [] : [leaves.join('\n')])].join(
    '\n\n',
  )
}

function machineSection(name: string, title: string, graph: MachineGraph): string {
  // The machine's own node is worth a section only where it has arrows of its own.
  const shown = graph.states.filter(
    ({ id, path }) => path !== '' || graph.transitions.some(({ source }) => source === id),
  )
  return [`## ${title}`, `![${title}](machines/${name}.svg)`, ...shown.map((state) => section(graph, state))].join(
    '\n\n',
  )
}

/** The whole page. */
export function machinesPage(): string {
  const sections = PICTURES.map(({ name, title, machine }) => machineSection(name, title, machineGraph(machine)))
  return `# The machines

This page is generated from the machines (\`npm run docs\`); a check fails when it is stale. For each state: what it means, what it waits for (the effect that is run while the machine is in it), and what leaves it. Where a guard is named, the arrow is taken only if it says yes; arrows without one are taken otherwise. What each code means is on [its own page](errors.md).

The same as Mermaid text and as JSON for Stately Studio: [machines/](machines/).

${sections.join('\n\n')}
`
}
