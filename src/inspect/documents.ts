// The picture files of every machine, as text: SVG for readers, Mermaid for editors, JSON for Stately Studio.
// Must never change a file it was only asked to check.

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { layOutBest } from './diagram/choose.js'
import { machineGraph } from './diagram/graph.js'
import { groupGraph } from './diagram/grouping.js'
import { drawMermaid } from './diagram/mermaid.js'
import { formatJson, studioConfig } from './diagram/studio.js'
import { drawSvg } from './diagram/svg.js'
import type { Picture } from './pictures.js'

/** A file to be written. */
export interface Document {
  readonly file: string
  readonly content: string
}

/**
 * The three files of one machine.
 *
 * @throws if the picture's rules name states or arrows that the machine does not have
 */
export async function documentsOf({ name, title, machine, rules, layout }: Picture): Promise<readonly Document[]> {
  const graph = machineGraph(machine)
  const grouped = groupGraph(graph, rules)
  const laidOut = await layOutBest(grouped, layout)
  return [
    { file: `${name}.svg`, content: drawSvg(laidOut, { title, description: graph.description }) },
    { file: `${name}.mmd`, content: drawMermaid(grouped) },
    { file: `${name}.json`, content: `${formatJson(studioConfig(machine))}\n` },
  ]
}

/** The file's text, or null when there is no such file. */
async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

/** The documents whose file in `folder` is missing or different. */
export async function staleDocuments(folder: string, documents: readonly Document[]): Promise<readonly Document[]> {
  const onDisk = await Promise.all(documents.map(({ file }) => readIfThere(join(folder, file))))
  return documents.filter(({ content }, index) => onDisk[index] !== content)
}

/** Writes documents into `folder`, which is made when it is not there. */
export async function writeDocuments(folder: string, documents: readonly Document[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  await Promise.all(documents.map(({ file, content }) => writeFile(join(folder, file), content)))
}
