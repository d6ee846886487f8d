// `npm run demo`: the same as `mpp-flow demo`.
// Must never do anything of its own.

import { main } from './program.js'

process.exitCode = await main(['demo', ...process.argv.slice(2)])
