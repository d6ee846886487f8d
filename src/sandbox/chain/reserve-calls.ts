// Knows which calls need what the native channel reserve would bring along, and what that is.
// Must never act on a call to anything but the channel reserve.
import { type Address, decodeFunctionData, type Hex, isAddressEqual, keccak256, stringToHex } from 'viem'
import { Abis } from 'viem/tempo'
import { CHANNEL_RESERVE } from './addresses.js'
import type { EvmCall } from './raw-transaction.js'
import { openContextWrite, reserveAllowanceWrite, type StorageWrite } from './storage.js'

const TIP20_PREFIX = '0x20c000000000000000000000'

/**
 * Stands for the transaction in simulations, where there is none yet. It is only ever put into the state of that one
 * simulation, never stored, so no channel can be opened with it.
 */
export const SIMULATED_TRANSACTION: Hex = keccak256(stringToHex('a simulation of the channel reserve'))

/** What must be written before the calls run. Opens and top-ups need something, everything else nothing. */
export interface ReserveNeeds {
  readonly allowances: readonly StorageWrite[]
  readonly openContexts: readonly StorageWrite[]
}

export function reserveNeeds(calls: readonly EvmCall[], transactionHash: Hex): ReserveNeeds {
  const allowances: StorageWrite[] = []
  const openContexts: StorageWrite[] = []
  for (const call of calls) {
    const deposit = readDeposit(call)
    if (deposit === undefined) continue
    // Only tokens get an allowance written: at any other address the same slot would mean something else.
    if (deposit.token.toLowerCase().startsWith(TIP20_PREFIX)) {
      allowances.push(reserveAllowanceWrite(deposit.token, call.from))
    }
    if (deposit.opens) openContexts.push(openContextWrite(call.from, call.data, transactionHash))
  }
  return { allowances, openContexts }
}

function readDeposit(call: EvmCall): { token: Address; opens: boolean } | undefined {
  if (call.to === undefined || !isAddressEqual(call.to, CHANNEL_RESERVE)) return undefined
  try {
    const { functionName, args } = decodeFunctionData({ abi: Abis.tip20ChannelReserve, data: call.data })
    if (functionName === 'open') return { token: args[2], opens: true }
    if (functionName === 'topUp') return { token: args[0].token, opens: false }
  } catch {
    // Not a call the reserve knows: it will say so itself.
  }
  return undefined
}
