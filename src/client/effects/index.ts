// Puts the effects together under the names that the machine invokes them by.
// Must never add a decision: an effect does one thing and reports what came of it.

import type { Ring } from '../ring.js'
import { acquireSession, awaitAcknowledgement } from './acquire-session.js'
import { effect } from './effect.js'
import { openSession } from './open-session.js'
import { parseChallenge } from './parse-challenge.js'
import { reconcileSession } from './reconcile.js'
import { requestApproval } from './request-approval.js'
import { sendClose } from './send-close.js'
import { sendPaid } from './send-paid.js'
import { sendUnpaid } from './send-unpaid.js'
import { signVoucher } from './sign-voucher.js'
import { topUpSession } from './top-up-session.js'
import { verifyReceipt } from './verify-receipt.js'
import { wait } from './wait.js'

/** The actors that `paymentFlowMachine.provide` takes. */
export function createEffects(ring: Ring) {
  return {
    sendUnpaid: effect(ring, sendUnpaid),
    parseChallenge: effect(ring, parseChallenge),
    acquireSession: effect(ring, acquireSession),
    awaitAcknowledgement: effect(ring, awaitAcknowledgement),
    requestApproval: effect(ring, requestApproval),
    openSession: effect(ring, openSession),
    topUpSession: effect(ring, topUpSession),
    signVoucher: effect(ring, signVoucher),
    reconcileSession: effect(ring, reconcileSession),
    sendPaid: effect(ring, sendPaid),
    verifyReceipt: effect(ring, verifyReceipt),
    wait: effect(ring, wait),
    sendClose: effect(ring, sendClose),
  }
}
