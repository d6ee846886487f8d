// Where things lie in the storage of TIP-20 tokens and of the channel reserve contract.
// Must never be used to move tokens behind the back of a test: only to fund accounts and stand in for the native reserve.
import { type Address, concat, type Hex, keccak256, maxUint256, numberToHex, pad } from 'viem'
import { CHANNEL_RESERVE } from './addresses.js'

/** One word of an account's storage. */
export interface StorageWrite {
  readonly address: Address
  readonly slot: Hex
  readonly value: Hex
}

// Layout of the TIP-20 precompile, as anvil 1.7.1 has it on every hardfork up to T4.
const TOKEN_SUPPLY = 8n
const TOKEN_BALANCES = 9n
const TOKEN_ALLOWANCES = 10n
// Layout of ChannelReserve.sol.
const RESERVE_OPEN_CONTEXTS = 0n

/** The slot of a mapping's entry: keccak256(key ++ slot of the mapping). */
function mappingSlot(key: Hex, mapping: Hex): Hex {
  return keccak256(concat([pad(key), mapping]))
}

function word(value: bigint): Hex {
  return numberToHex(value, { size: 32 })
}

export function balanceWrite(token: Address, owner: Address, amount: bigint): StorageWrite {
  return { address: token, slot: mappingSlot(owner, word(TOKEN_BALANCES)), value: word(amount) }
}

export function supplyWrite(token: Address, amount: bigint): StorageWrite {
  return { address: token, slot: word(TOKEN_SUPPLY), value: word(amount) }
}

/** The allowance without end that the native reserve, needing none, is stood in for with. */
export function reserveAllowanceWrite(token: Address, payer: Address): StorageWrite {
  return {
    address: token,
    slot: mappingSlot(CHANNEL_RESERVE, mappingSlot(payer, word(TOKEN_ALLOWANCES))),
    value: word(maxUint256),
  }
}

/** The hash of the transaction that an `open` runs in; see `openContexts` in ChannelReserve.sol. */
export function openContextWrite(sender: Address, calldata: Hex, transactionHash: Hex): StorageWrite {
  const key = keccak256(concat([sender, calldata]))
  return { address: CHANNEL_RESERVE, slot: mappingSlot(key, word(RESERVE_OPEN_CONTEXTS)), value: transactionHash }
}
