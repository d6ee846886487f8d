// `npm run model`: the same as `mpp-flow model`.
// Must never do anything of its own.

import { main } from './program.js'

process.exitCode = await main(['model', ...process.argv.slice(2)])
