// `npm run codes`: the same as `mpp-flow codes`.
// Must never do anything of its own.

import { main } from './program.js'

process.exitCode = await main(['codes', ...process.argv.slice(2)])
