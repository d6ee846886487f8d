#!/usr/bin/env node
// The program `mpp-flow`.
// Must never do anything of its own: what it can do is said in program.ts.

import { main } from './program.js'

process.exitCode = await main(process.argv.slice(2))
