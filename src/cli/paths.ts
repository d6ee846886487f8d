// `npm run paths`: the same as `mpp-flow paths`.
// Must never do anything of its own.

import { main } from './program.js'

process.exitCode = await main(['paths', ...process.argv.slice(2)])
