// Puts the effects together under the names that the machine invokes them by.
// Must never add a decision: an effect does one thing and reports what came of it.

import type { Runtime } from '../runtime.js'
import { acquireSession, awaitAcknowledgement } from './acquire-session.js'
import { asActor, effect } from './effect.js'
import { openSession } from './open-session.js'
import { parseChallenge } from './parse-challenge.js'
import { reconcileSession } from './reconcile.js'
import { requestApproval } from './request-approval.js'
import { sendClose } from './send-close.js'
import { resendPaid, sendPaid } from './send-paid.js'
import { sendUnpaid } from './send-unpaid.js'
import { signVoucher } from './sign-voucher.js'
import { topUpSession } from './top-up-session.js'
import { verifyReceipt } from './verify-receipt.js'
import { wait } from './wait.js'

/** The effects by their names. */
export type Effects = ReturnType<typeof createEffects>

/** Every effect that the machine invokes. */
export function createEffects(runtime: Runtime) {
  return {
    sendUnpaid: effect(runtime, sendUnpaid),
    parseChallenge: effect(runtime, parseChallenge),
    acquireSession: effect(runtime, acquireSession),
    awaitAcknowledgement: effect(runtime, awaitAcknowledgement),
    requestApproval: effect(runtime, requestApproval),
    openSession: effect(runtime, openSession),
    topUpSession: effect(runtime, topUpSession),
    signVoucher: effect(runtime, signVoucher),
    reconcileSession: effect(runtime, reconcileSession),
    sendPaid: effect(runtime, sendPaid),
    resendPaid: effect(runtime, resendPaid),
    verifyReceipt: effect(runtime, verifyReceipt),
    wait: effect(runtime, wait),
    sendClose: effect(runtime, sendClose),
  }
}

/** The effects as the actors that `paymentFlowMachine.provide` takes. */
export function asActors(effects: Effects) {
  return {
    sendUnpaid: asActor(effects.sendUnpaid),
    parseChallenge: asActor(effects.parseChallenge),
    acquireSession: asActor(effects.acquireSession),
    awaitAcknowledgement: asActor(effects.awaitAcknowledgement),
    requestApproval: asActor(effects.requestApproval),
    openSession: asActor(effects.openSession),
    topUpSession: asActor(effects.topUpSession),
    signVoucher: asActor(effects.signVoucher),
    reconcileSession: asActor(effects.reconcileSession),
    sendPaid: asActor(effects.sendPaid),
    resendPaid: asActor(effects.resendPaid),
    verifyReceipt: asActor(effects.verifyReceipt),
    wait: asActor(effects.wait),
    sendClose: asActor(effects.sendClose),
  }
}
