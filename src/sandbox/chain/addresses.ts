// The fixed addresses of the local chain.
// Must never hold a key or anything that differs from one chain to the next.
import type { Address } from 'viem'

/** The TIP-1034 channel reserve. */
export const CHANNEL_RESERVE: Address = '0x4d50500000000000000000000000000000000000'

/** pathUSD, the TIP-20 token that the test accounts hold and pay fees in. Six decimals. */
export const PATH_USD: Address = '0x20c0000000000000000000000000000000000000'

/** The precompile that fees are paid to; a fee is a `Transfer` to it in the transaction's receipt. */
export const FEE_MANAGER: Address = '0xfeec000000000000000000000000000000000000'

/** Tempo's testnet, which the local chain takes the id of. */
export const CHAIN_ID = 42431
