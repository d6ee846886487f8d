// Runs command lines one after another, for tests: the program itself, without starting it anew for each.
// Must never be imported.

import { main } from '../../src/cli/program.js'
import { END_OF_CALL } from './run-program.js'

const lines: readonly (readonly string[])[] = JSON.parse(process.argv[2] ?? '[]')
// As somebody whom the permissions of files hold for.
const { CALLS_UID } = process.env
if (CALLS_UID !== undefined) process.setuid?.(Number(CALLS_UID))
// A key is removed from the environment by the command that reads it.
const env = { ...process.env }
for (const line of lines) {
  Object.assign(process.env, env)
  const code = await main(line)
  process.stdout.write(END_OF_CALL)
  process.stderr.write(`${END_OF_CALL}${code}\n`)
}
