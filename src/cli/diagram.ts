// The command `diagram`: prints a machine as a picture, as Mermaid, or as a configuration for Stately Studio.
// Must never print a picture of anything but the machine that runs.

import { z } from 'zod'
import {
  drawMermaid,
  drawSvg,
  formatJson,
  groupGraph,
  layOutBest,
  machineGraph,
  PICTURES,
  type Picture,
  studioConfig,
} from '../inspect/index.js'
import type { CommandRun } from './command-run.js'
import { EXIT, usageError } from './exit.js'
import type { Given } from './perform.js'

const diagramOptions = z.object({ format: z.enum(['svg', 'mermaid', 'json']) })

/** @throws CommandError when there is no such machine. */
export async function diagram(run: CommandRun, { options, args }: Given): Promise<number> {
  const { format } = diagramOptions.parse(options)
  const name = args[0] ?? 'payment-flow'
  const picture = PICTURES.find((each) => each.name === name)
  if (picture === undefined)
    throw usageError(`there is no such machine: ${PICTURES.map((each) => each.name).join(', ')}`)
  await run.write(await drawn(picture, run.json ? 'json' : format))
  return EXIT.ok
}

async function drawn({ title, machine, rules, layout }: Picture, format: 'svg' | 'mermaid' | 'json'): Promise<string> {
  if (format === 'json') return `${formatJson(studioConfig(machine))}\n`
  const graph = machineGraph(machine)
  const grouped = groupGraph(graph, rules)
  if (format === 'mermaid') return drawMermaid(grouped)
  return drawSvg(await layOutBest(grouped, layout), { title, description: graph.description })
}
