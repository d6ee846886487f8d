// Every command with its arguments and options, as commander wants them. What a command does is loaded when it is called.
// Must never take a key as an option, nor do any work before the command is known.

import { Argument, type Command, Option } from 'commander'
import { defineModel } from './model/define.js'
import { definePaths } from './paths/define.js'
import type { Perform } from './perform.js'

const repeated = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]

function withJson(command: Command, what = 'print one JSON document'): Command {
  return command.option('--json', what)
}

function withStore(command: Command): Command {
  return command.addOption(new Option('--store <folder>', 'where the ledger of channels is kept').env('MPP_FLOW_STORE'))
}

function withPayer(command: Command): Command {
  return withStore(command.optionsGroup('Payer and ledger:'))
    .option('--key-file <file>', 'private key of the payer; mode 0600. Or MPP_FLOW_KEY')
    .option('--voucher-key-file <file>', 'another key that signs the vouchers. Or MPP_FLOW_VOUCHER_KEY')
    .addOption(
      new Option('--rpc-url <url>', "RPC of the chain; default: the chain's public one").env('MPP_FLOW_RPC_URL'),
    )
}

function maxFee(): Option {
  return new Option('--max-fee <tokens>', 'most that one transaction may cost in fees (default: 0.25)')
}

function withPolicy(command: Command): Command {
  return command
    .optionsGroup('What may be paid (amounts in tokens):')
    .option('--max-deposit <tokens>', 'largest deposit of one channel (default: 5)')
    .option('--max-total-deposit <tokens>', 'largest sum of deposits in all channels of one token')
    .option('--max-cumulative <tokens>', 'largest amount ever authorised on one channel')
    .option('--max-exposure <tokens>', 'most that is authorised beyond what is acknowledged as spent (default: 2)')
    .addOption(maxFee())
    .option('--allow-origin <origin>', 'may be paid; repeat for more (default: the https origin asked for)', repeated)
    .option('--allow-chain <id>', 'may be paid on; repeat for more (default: 4217 and 42431)', repeated)
    .option('--allow-token <address>', 'may be paid in; repeat for more (default: USDC.e and pathUSD)', repeated)
    .option('--allow-payee <address>', 'may be paid; repeat for more (default: any)', repeated)
    .option('--allow-operator <address>', 'may act for a payee; repeat for more (default: any)', repeated)
    .option('--allow-escrow <address>', 'may hold deposits; repeat for more (default: the channel reserve)', repeated)
    .option('--authenticated-origin <origin>', 'gets your own Authorization header; repeat for more', repeated)
}

const REQUEST_HELP = `
DATA is text, @file, or @- for standard input. The body of the answer goes to
standard output as it is, everything else to standard error. For a result that
programs can read: mpp-flow --json request …

Examples:
  mpp-flow request --key-file payer.key --json @chat.json https://gateway.example/v1/mpp/chat/completions
  mpp-flow request --dry-run --json @chat.json https://gateway.example/v1/mpp/chat/completions`

function defineRequest(program: Command, perform: Perform): void {
  const command = program
    .command('request')
    .summary('send an HTTP request, and pay for it when it is asked to')
    .description('Sends an HTTP request, pays for it if the server asks for payment, and prints the answer.')
    .usage('[options] <url>')
    .argument('[url]', 'what to ask for')
    .option('-X, --request <method>', 'HTTP method (default: POST with a body, GET without)')
    .option('-H, --header <line>', '"Name: value"; repeat for more', repeated)
    .addOption(new Option('--json <data>', 'body, with content-type application/json').conflicts('data'))
    .option('--data <data>', 'body, byte for byte, without a content-type of its own')
    .option('--dry-run', 'send only the unpaid request, sign nothing, and say what would be signed')
    .option('--approve', 'ask on the terminal before funds move')
    .option('-v, --verbose', 'show what is sent and received, without secrets and bodies')
    .option('-s, --silent', 'say nothing but errors')
  withPolicy(withPayer(command)).addHelpText('after', REQUEST_HELP)
  perform(command, async (run, given) => (await import('./request/command.js')).request(run, given))
}

function defineSessions(program: Command, perform: Perform): void {
  const sessions = program
    .command('sessions')
    .summary('the channels in the ledger: list, show, close, recover')
    .description('Shows and closes the payment channels that the ledger knows.')
  const channel = new Argument('<channel>', 'channel id, or the beginning of one')
  const show = () => import('./sessions/show.js')
  const close = () => import('./sessions/close.js')

  const list = sessions.command('list').description('Lists every channel in the ledger, the last used first.')
  perform(withJson(withStore(list)), async (run, given) => (await show()).listChannels(run, given))

  const one = sessions.command('show').description('Shows all that the ledger knows of a channel.')
  perform(withJson(withStore(one)).addArgument(channel), async (run, given) => (await show()).showChannel(run, given))

  const closing = sessions
    .command('close')
    .description('Asks the payee to settle what was spent and to refund the rest of the deposit.')
    .option('--url <url>', 'a paid route of the payee, where the ledger does not know one')
    .option('-v, --verbose', 'show what is sent and received, without secrets and bodies')
  perform(withPayer(withJson(closing)).addArgument(channel), async (run, given) =>
    (await close()).closeChannel(run, given),
  )

  const forcing = sessions
    .command('force-close')
    .description('Gets a deposit back without the payee: a request on the chain, 16 minutes, a withdrawal.')
    .option('--fee-token <address>', "token of the two fees (default: the channel's)")
    .addOption(maxFee())
  perform(withPayer(withJson(forcing)).addArgument(channel), async (run, given) =>
    (await close()).forceCloseChannel(run, given),
  )

  const recovering = sessions
    .command('recover')
    .description('Settles what is pending against the chain, and finds channels that only the chain knows.')
    .option('--chain <id>', 'to search; repeat for more (default: that of the RPC, or 4217 and 42431)', repeated)
    .option('--escrow <address>', 'to search; repeat for more (default: the channel reserve)', repeated)
    .option('--from-block <number>', 'the first block to search (default: 0)')
    .option('--max-exposure <tokens>', 'most that may have been signed beyond what was spent (default: 2)')
    .option('--reuse', 'pay with found channels also where lost vouchers may be higher than that')
    .option('--trust-node', 'believe the node of --rpc-url where it contradicts what other nodes have said')
  perform(withPayer(withJson(recovering)), async (run, given) =>
    (await import('./sessions/recover.js')).recoverChannels(run, given),
  )
}

function defineSandbox(program: Command, perform: Perform): void {
  const command = program
    .command('sandbox')
    .summary('run a gateway with a chain of its own, until Ctrl-C')
    .description('Runs a gateway that takes real payments, on a chain of its own, and prints how to call it.')
    .option('--port <port>', 'of the gateway (default: a free one)')
    .option('--bucket <tokens>', 'size of a voucher bucket (default: 1)')
    .option('--suggested-deposit <tokens>', 'the deposit that challenges suggest (default: 5)')
    .option('--price-per-token <tokens>', 'what a token of the model costs (default: 0.0002)')
  withJson(command, 'print one JSON document when it is ready').addHelpText(
    'after',
    '\nNeeds the package @foundry-rs/anvil. The key that it prints the place of is funded on that chain alone.',
  )
  perform(command, async (run, given) => (await import('./sandbox/command.js')).sandbox(run, given))
}

const DEMO_HELP = `
Starts a gateway and a Tempo chain on this machine, pays chat completions with
real signatures, and shows every transition of the payment flow as it happens:
open, voucher reuse, refresh, top-up, twenty requests at once, close.

Exits with 0 when every request was paid for on one channel and the chain's
balances account for every unit; otherwise with 1, and says why.`

const CODES_HELP = `
Brings about each of the gateway's codes by its real cause wherever it has one, and
shows where each one leads. A line of --json is
  {"code","cause","outcome","failureCode","states"}

Exits with 0 when every row of the table of codes holds: where the code leads,
how often, with the newest challenge, with the same bytes, and how it ends;
otherwise with 1, and says on standard error what does not hold.`

function defineShows(program: Command, perform: Perform): void {
  const demo = program
    .command('demo')
    .summary('pay real requests on a chain of its own, and show how')
    .description('Pays real requests on a chain of its own, and shows how.')
  withJson(demo, 'print one JSON object per line; the last is the summary, amounts are base units')
  perform(demo.addHelpText('after', DEMO_HELP), async (run) => (await import('./demo/command.js')).demo(run))

  const codes = program
    .command('codes')
    .summary('bring about each code of the gateway, and show where it leads')
    .description('Brings about each code of the gateway on a sandbox, and shows where it leads.')
    .argument('[code...]', 'only these')
  withJson(codes, 'print one JSON object per line and code').addHelpText('after', CODES_HELP)
  perform(codes, async (run, { args }) => (await import('./codes/command.js')).codes(run, args))

  const explain = program
    .command('explain')
    .summary('say what an error code means and where it leads')
    .description('Says what an error code means, where it leads and what to do about it.')
    .argument('[code]', 'without one, all codes are listed')
  perform(withJson(explain), async (run, { args }) => (await import('./explain.js')).explain(run, args[0]))

  const diagram = program
    .command('diagram')
    .summary('print a picture of a machine')
    .description('Prints a picture of a machine, drawn from the machine that runs.')
    .addArgument(
      new Argument('[machine]', 'which one')
        .choices(['payment-flow', 'session', 'provider-route'])
        .default('payment-flow'),
    )
    .addOption(new Option('--format <format>', 'what to print').choices(['svg', 'mermaid', 'json']).default('svg'))
  withJson(diagram, 'the same as --format json: a configuration for Stately Studio')
  perform(diagram, async (run, given) => (await import('./diagram.js')).diagram(run, given))
}

function defineInspect(program: Command, perform: Perform): void {
  const command = program
    .command('inspect')
    .summary('watch payment flows of a sandbox in the browser')
    .description('Runs a sandbox, and a page that shows its payment flows as they happen, until Ctrl-C.')
    .option('--port <port>', 'of the page (default: a free one)')
    .option('--no-open', 'only print where the page is')
  withJson(command, 'print one JSON document when it is ready')
  perform(command, async (run, given) => (await import('./inspect/command.js')).inspect(run, given))
}

/** Adds all commands to the program. */
export function defineCommands(program: Command, perform: Perform): void {
  defineRequest(program, perform)
  defineSessions(program, perform)
  defineShows(program, perform)
  definePaths(program, perform)
  defineModel(program, perform)
  defineSandbox(program, perform)
  defineInspect(program, perform)
}
