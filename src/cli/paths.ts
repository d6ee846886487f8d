// `npm run paths`: exports the generated paths.
// Must never do anything of its own.

import { run } from './paths/run.js'

process.exitCode = await run(process.argv.slice(2))
