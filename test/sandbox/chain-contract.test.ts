// The channel reserve contract as an artifact: it is its source, and it speaks the ABI of the native reserve.
// Must never need a chain.
import { type AbiEvent, type AbiFunction, toEventSelector, toFunctionSelector } from 'viem'
import { Abis } from 'viem/tempo'
import { describe, expect, test } from 'vitest'
import { channelReserveArtifact } from '../../src/sandbox/contract/channel-reserve.artifact.js'
import { artifactIsCurrent } from '../../src/sandbox/contract/compile.js'

describe('the committed artifact', () => {
  test('is what the committed source compiles to', async () => {
    expect(await artifactIsCurrent()).toBe(true)
  })

  test('has the functions, events and errors of the native reserve', () => {
    const native = Abis.tip20ChannelReserve
    // These two belong to later hardforks than TIP-1034.
    const later = ['storageCredits', 'RootKeyRetired']
    for (const item of native) {
      if (later.includes(item.name)) continue
      const own = channelReserveArtifact.abi.find(({ type, name }) => type === item.type && name === item.name)
      expect(own, item.name).toBeDefined()
      if (item.type === 'function') {
        expect(toFunctionSelector(own as AbiFunction)).toBe(toFunctionSelector(item))
        expect((own as AbiFunction).outputs.map(shape)).toEqual(item.outputs.map(shape))
      }
      if (item.type === 'event') {
        expect(toEventSelector(own as AbiEvent)).toBe(toEventSelector(item))
        expect((own as AbiEvent).inputs.map(indexed)).toEqual(item.inputs.map(indexed))
      }
    }
  })
})

interface Parameter {
  readonly type: string
  readonly name?: string | undefined
  readonly indexed?: boolean | undefined
  readonly components?: readonly Parameter[] | undefined
}

/** A parameter's type, with those of its members and their names. */
function shape({ type, components }: Parameter): unknown {
  return components === undefined ? type : [type, components.map((member) => [member.name, shape(member)])]
}

function indexed({ name, type, indexed = false }: Parameter): unknown {
  return [name, type, indexed]
}
