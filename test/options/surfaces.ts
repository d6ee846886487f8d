// Every object of options that the package takes, filled in completely, and the call that takes it.
// Must never miss an option: the compiler holds each against the keys of its type.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { createClient, http } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { defaultStrategy } from '../../machines/index.js'
import { type FileStoreOptions, fileStore, nodeFileLayer } from '../../src/files/index.js'
import {
  type CloseOptions,
  createMppClient,
  type FlowOptions,
  type ForceCloseOptions,
  type MemoryStoreOptions,
  type MppClientOptions,
  memoryStore,
  type Policy,
  type RecoverOptions,
  type Timeouts,
} from '../../src/index.js'
import { type Control, type InspectLocallyOptions, inspectLocally } from '../../src/inspect/index.js'
import { type PostgresStoreOptions, postgresStore } from '../../src/postgres/index.js'
import { createProviderClient, type ProviderClientOptions } from '../../src/provider/index.js'
import { type LocalChainOptions, type SandboxOptions, startChain, startSandbox } from '../../src/sandbox/index.js'

/** One call that takes options. */
export interface Surface {
  readonly name: string
  /** All options, each of which can be read. */
  readonly options: Readonly<Record<string, unknown>>
  /** Where the options are in what the call takes. */
  readonly at: string
  /** Throws, rejects, or gives an outcome, for options that cannot be read. */
  call(options: unknown): unknown
  /** Whether the call does nothing but read the options, so that it can be made with those that are right. */
  readonly harmless: boolean
}

/** Every key of `T`: one that is added to a type and not here does not compile. */
type Every<T> = Record<keyof T, unknown>

const account = privateKeyToAccount(generatePrivateKey())
const address = account.address
const nothing = (): undefined => undefined

const timeouts = {
  unpaidMs: 1,
  paidMs: 2_147_483_647,
  topUpMs: 60_000,
  closeMs: 60_000,
  sessionMs: 120_000,
  chainMs: 15_000,
  leaseMs: 1_000,
} satisfies Every<Timeouts>

const policy = {
  maxDeposit: '5',
  maxCumulative: 3_000_000n,
  maxTotalDeposit: '3',
  maxExposure: '0.25',
  maxFee: '0.1',
  allowedOrigins: ['https://api.example.com'],
  authenticatedOrigins: ['http://127.0.0.1:8080'],
  allowedChains: [4217],
  allowedTokens: [address],
  allowedPayees: [address],
  allowedOperators: [address],
  allowedEscrows: [address],
  attempts: { mpp_invalid_challenge: 1, CONNECTION_FAILED: 0, TOP_UP_UNCONFIRMED: 2 },
  timeouts,
  approve: () => true,
  retryCommitFailed: true,
  resendPaid: false,
  strategy: defaultStrategy,
} satisfies Every<Policy>

const client = {
  account,
  voucherSigner: account,
  getClient: () => createClient({ transport: http('http://127.0.0.1:1') }),
  rpcUrl: 'http://127.0.0.1:1',
  policy,
  store: memoryStore(),
  fetch: globalThis.fetch,
  inspect: { next: nothing },
} satisfies Every<MppClientOptions>

const flow = { inspect: nothing } satisfies Every<FlowOptions>
const close = {
  url: 'https://api.example.com/v1/mpp/chat/completions',
  headers: { 'x-request-id': 'a' },
} satisfies Every<CloseOptions>
const forceClose = {
  signal: new AbortController().signal,
  onProgress: nothing,
  feeToken: address,
  lookEveryMs: 5_000,
} satisfies Every<ForceCloseOptions>
const recover = {
  signal: new AbortController().signal,
  chainIds: [42431],
  fromBlock: 0,
  reuse: true,
  trustNode: true,
  onProgress: nothing,
} satisfies Every<RecoverOptions>
const memory = { now: Date.now } satisfies Every<MemoryStoreOptions>
const file = { now: Date.now, layer: nodeFileLayer } satisfies Every<FileStoreOptions>
const provider = {
  baseUrl: 'https://gateway.example/v1',
  virtualKey: 'vk-none',
  fetch: globalThis.fetch,
  inspect: nothing,
  retry: { maxRetries: 0, baseMs: 0, capMs: 8_000 },
  timeoutMs: 120_000,
  maxResponseBytes: 1_024,
  random: Math.random,
} satisfies Every<ProviderClientOptions>
const control = {
  id: 'a',
  label: 'A',
  group: 'letters',
  hint: 'Presses A.',
  code: 'payment_required',
  repeatable: true,
  state: 'requesting',
  run: async () => 'done',
} satisfies Every<Control>
const inspector = {
  port: 0,
  open: false,
  token: 'sixteen-characters',
  title: 'A title',
  controls: [control],
} satisfies Every<InspectLocallyOptions>
const chain = { accounts: 2, balance: 1n, fees: 'charged' } satisfies Every<LocalChainOptions>

/** All options of a sandbox; `chain` is one that runs. */
const sandbox = (running: unknown) =>
  ({
    bucket: '1',
    suggestedDeposit: 5_000_000n,
    pricePerToken: '0.0002',
    challengeTtlSeconds: 300,
    closeSigner: true,
    blockedPayers: [address],
    minVoucherDelta: '0.1',
    maxBodyBytes: 1_000_000,
    latencyMs: 0,
    otherBodyPrice: '0.1',
    chain: running,
    port: 0,
    host: '127.0.0.1',
    operator: address,
    observe: nothing,
    charged: nothing,
  }) satisfies Every<SandboxOptions>

/**
 * Every call that takes options.
 *
 * @param running a chain for the sandbox, shaped like one.
 */
export function surfaces(running: unknown): readonly Surface[] {
  const mpp = createMppClient({ account, rpcUrl: client.rpcUrl })
  const folder = join(mkdtempSync(join(tmpdir(), 'mpp-flow-options-')), 'channels')
  const postgres = { pool: new PGlite(), schema: 'mpp_flow' } satisfies Every<PostgresStoreOptions>
  // What is deliberately wrong reaches the calls as it would from JavaScript.
  const calling = <O, R>(call: (options: O) => R) => call as (options: unknown) => R
  const id = `0x${'12'.repeat(32)}`
  const surface = (name: string, options: Surface['options'], call: Surface['call'], harmless: boolean, at = '') => ({
    name,
    options,
    at,
    call,
    harmless,
  })
  return [
    surface('createMppClient', client, calling(createMppClient), true),
    surface(
      'createFlow',
      flow,
      calling((options: FlowOptions) => mpp.createFlow('https://api.example.com', {}, options)),
      true,
    ),
    surface(
      'close',
      close,
      calling((options: CloseOptions) => mpp.sessions.close(id, options)),
      true,
    ),
    surface(
      'forceClose',
      forceClose,
      calling((options: ForceCloseOptions) => mpp.sessions.forceClose(id, options)),
      true,
    ),
    surface('recover', recover, calling(mpp.sessions.recover), false),
    surface('memoryStore', memory, calling(memoryStore), true),
    surface(
      'fileStore',
      file,
      calling((options: FileStoreOptions) => fileStore(folder, options)),
      true,
    ),
    surface('postgresStore', postgres, calling(postgresStore), true),
    surface('createProviderClient', provider, calling(createProviderClient), true),
    surface('inspectLocally', inspector, calling(inspectLocally), false),
    surface('startChain', chain, calling(startChain), false),
    surface('startSandbox', sandbox(running), calling(startSandbox), false),
  ]
}
