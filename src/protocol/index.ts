// The wire formats of payment challenges, credentials, receipts and errors.
// Must never do I/O or know about channels' state: everything here is a pure function of its input.
export * from './amount.js'
export * from './base64url.js'
export * from './challenge.js'
export * from './credential.js'
export * from './descriptor.js'
export * from './digest.js'
export * from './hex.js'
export * from './parsed.js'
export * from './problem.js'
export * from './receipt.js'
export * from './session-request.js'
export * from './snapshot.js'
