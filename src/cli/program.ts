// Reads the command line and runs the command that it names.
// Must never show a message of the argument parser as it is: it quotes what was given, and that may be a key.

import { createRequire } from 'node:module'
import { Command, CommanderError } from 'commander'
import { errorDocument, runCommand, withoutSecrets } from './command-run.js'
import { defineCommands } from './commands.js'
import { CommandError, EXIT } from './exit.js'
import { refuseKeyArguments } from './key-arguments.js'
import type { Perform } from './perform.js'

const NAME = 'mpp-flow'

/** The program, ready to parse. `perform` is told what each command does. */
export function createProgram(perform: Perform): Command {
  const program = new Command(NAME)
    .description('Pays for HTTP requests with Tempo MPP sessions.')
    .version(versionOf(createRequire(import.meta.url)(`${NAME}/package.json`)))
    .option('--json', 'print results and errors as JSON; stands before the command, for request only there')
    .enablePositionalOptions()
    .exitOverride()
    // Errors are shown by `main`, in one form.
    .configureOutput({ outputError: () => undefined })
    .showSuggestionAfterError(true)
  defineCommands(program, perform)
  return program
}

function versionOf(manifest: unknown): string {
  const named = typeof manifest === 'object' && manifest !== null && 'version' in manifest
  return named ? String(manifest.version) : 'unknown'
}

/** `mpp-flow sessions list` */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}

/** Whether a program reads the output. For `request`, `--json` is a body, so there it is asked for before the command. */
function wantsJson(program: Command, command: Command): boolean {
  return program.opts().json === true || command.opts().json === true
}

/** The same for a command line that cannot be parsed. */
function mentionsJson(args: readonly string[]): boolean {
  const flag = args.indexOf('--json')
  const request = args.indexOf('request')
  return flag >= 0 && (request === -1 || flag < request)
}

/**
 * Runs a command line.
 *
 * @param args without the program's own name.
 * @returns the exit code.
 */
export async function main(args: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.ok
  const program = createProgram((command, work) => {
    command.action(async () => {
      const given = { options: command.opts(), args: command.args }
      exitCode = await runCommand(pathOf(command), wantsJson(program, command), (run) => work(run, given))
    })
  })
  try {
    refuseKeyArguments(args)
    await program.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok
    return complain(args, messageOf(error))
  }
}

function messageOf(error: unknown): string {
  if (error instanceof CommandError) return error.message
  if (!(error instanceof CommanderError)) throw error
  // The help was shown in place of a message: no command was named.
  if (error.code === 'commander.help') return 'a command is missing'
  return `${withoutSecrets(error.message)
    .replace(/^error: /, '')
    .replaceAll('\n', ' ')} (see --help)`
}

function complain(args: readonly string[], message: string): number {
  if (mentionsJson(args)) {
    process.stdout.write(`${JSON.stringify(errorDocument('usage', message, EXIT.usage))}\n`)
  } else process.stderr.write(`${NAME}: ${message}\n`)
  return EXIT.usage
}
