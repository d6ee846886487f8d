// Writes docs/machines, docs/machines.md, docs/errors.md and the table of README from the machines: `tsx src/inspect/generate.ts`; with `--check` it says which file is stale instead.
// Must never write during a check.

import { readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Document, documentsOf, staleDocuments, writeDocuments } from './documents.js'
import { errorsPage, readmeWithCodes } from './errors-page.js'
import { machinesPage } from './machines-page.js'
import { PICTURES } from './pictures.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, 'docs')
const documents: Document[] = [
  { file: 'errors.md', content: errorsPage() },
  { file: 'machines.md', content: machinesPage() },
  { file: '../README.md', content: readmeWithCodes(await readFile(join(root, 'README.md'), 'utf8')) },
]
for (const picture of PICTURES) {
  for (const { file, content } of await documentsOf(picture)) documents.push({ file: join('machines', file), content })
}
const stale = await staleDocuments(folder, documents)
const shown = stale.map(({ file }) => relative(root, join(folder, file)))

if (process.argv.includes('--check')) {
  for (const path of shown) process.stderr.write(`${path} is stale: run "npm run docs"\n`)
  if (stale.length > 0) process.exitCode = 1
} else {
  await writeDocuments(folder, stale)
  for (const path of shown) process.stdout.write(`${path} written\n`)
}
