// Compiles ChannelReserve.sol and writes, or checks, the artifact module that the sandbox loads.
// Must never be imported by code that runs in a sandbox: it needs the compiler, which is a development package.
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

const CONTRACT = 'ChannelReserve'
const SOURCE = new URL('./ChannelReserve.sol', import.meta.url)
const ARTIFACT = new URL('./channel-reserve.artifact.ts', import.meta.url)

const compilerSchema = z.object({
  version: z.function({ input: [], output: z.string() }),
  compile: z.function({ input: [z.string()], output: z.string() }),
})

const outputSchema = z.object({
  errors: z.array(z.object({ formattedMessage: z.string() })).default([]),
  contracts: z
    .record(
      z.string(),
      z.record(
        z.string(),
        z.object({
          abi: z.array(z.record(z.string(), z.unknown())),
          evm: z.object({ deployedBytecode: z.object({ object: z.string() }) }),
        }),
      ),
    )
    .default({}),
})

/** What the compiler makes of the contract, with what is needed to see that it belongs to the source. */
export interface ChannelReserveArtifact {
  readonly contractName: string
  readonly compiler: string
  /** SHA-256 of the Solidity source, hex. */
  readonly sourceHash: string
  readonly abi: readonly Readonly<Record<string, unknown>>[]
  readonly deployedBytecode: `0x${string}`
}

/**
 * Compiles the channel reserve contract.
 *
 * Warnings of the compiler count as errors, so that the committed source is free of both.
 *
 * @throws Error with the compiler's own words when the source does not compile cleanly.
 */
export async function compileChannelReserve(): Promise<ChannelReserveArtifact> {
  const source = await readFile(SOURCE, 'utf8')
  const compiler = compilerSchema.parse(createRequire(import.meta.url)('solc'))
  const file = `${CONTRACT}.sol`
  const output = outputSchema.parse(
    JSON.parse(
      compiler.compile(
        JSON.stringify({
          language: 'Solidity',
          sources: { [file]: { content: source } },
          settings: {
            // The newest EVM version that Tempo's T4 runs; transient storage and MCOPY included.
            evmVersion: 'cancun',
            optimizer: { enabled: true, runs: 1000 },
            // Without metadata the bytecode depends on the code alone, not on comments.
            metadata: { bytecodeHash: 'none', appendCBOR: false },
            outputSelection: { '*': { '*': ['abi', 'evm.deployedBytecode.object'] } },
          },
        }),
      ),
    ),
  )
  const contract = output.contracts[file]?.[CONTRACT]
  if (output.errors.length > 0 || contract === undefined) {
    throw new Error(output.errors.map((error) => error.formattedMessage).join('\n') || `${file} holds no ${CONTRACT}`)
  }
  return {
    contractName: CONTRACT,
    compiler: compiler.version(),
    sourceHash: createHash('sha256').update(source).digest('hex'),
    abi: contract.abi,
    deployedBytecode: `0x${contract.evm.deployedBytecode.object}`,
  }
}

/** The artifact as the text of a TypeScript module: modules reach `dist` and every runtime, JSON files do not. */
export function formatArtifact(artifact: ChannelReserveArtifact): string {
  return `// biome-ignore-all format: generated
// The compiled channel reserve, generated from ChannelReserve.sol by compile.ts.
// Must never be edited by hand: a test compiles the source again and compares.
export const channelReserveArtifact = ${JSON.stringify(artifact, null, 2)} as const
`
}

/** Whether the committed artifact is what the committed source compiles to. */
export async function artifactIsCurrent(): Promise<boolean> {
  const [artifact, committed] = await Promise.all([compileChannelReserve(), readFile(ARTIFACT, 'utf8')])
  return formatArtifact(artifact) === committed
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!process.argv.includes('--check')) {
    await writeFile(ARTIFACT, formatArtifact(await compileChannelReserve()))
  } else if (!(await artifactIsCurrent())) {
    process.stderr.write('channel-reserve.artifact.ts is not what ChannelReserve.sol compiles to; run compile.ts\n')
    process.exitCode = 1
  }
}
