// The chain as payers and servers see it: channel ids, vouchers, transactions for channels, reads.
// Must never broadcast a transaction.
export * from './chain.js'
export * from './channel.js'
export * from './close.js'
export * from './decode.js'
export { expiringNonceHash, transactionHash } from './envelope.js'
export * from './escrow-call.js'
export * from './failure.js'
export * from './find-closing.js'
export * from './transactions.js'
export * from './voucher.js'
