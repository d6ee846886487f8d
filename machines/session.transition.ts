// Runs the session machine as a pure function over a stored status and context.
// Must never report an illegal change as done: an event the machine does not take gives undefined.

import { type ActorLogic, type SnapshotFrom, transition } from 'xstate'
import { chartOf } from './chart.js'
import { ABSENT_SESSION, sessionMachine } from './session.machine.js'
import type { SessionContext, SessionEvent, SessionStatus } from './session.types.js'

/** The part of a stored record that the machine decides. */
export interface SessionState {
  readonly status: SessionStatus
  readonly session: SessionContext
}

const STATUSES: Readonly<Record<SessionStatus, true>> = {
  absent: true,
  opening: true,
  open: true,
  toppingUp: true,
  closing: true,
  closed: true,
  closeRequested: true,
  withdrawable: true,
  withdrawn: true,
  lost: true,
}

/** Whether a text names a state of the session machine. */
export function isSessionStatus(text: string): text is SessionStatus {
  return Object.hasOwn(STATUSES, text)
}

type Snapshot = SnapshotFrom<typeof sessionMachine>

const AT_REST: Snapshot = sessionMachine.resolveState({ value: 'absent', context: ABSENT_SESSION })

/** The machine's step alone. XState starts an actor of what it is given for every pure transition: this one costs nothing. */
const STEP: ActorLogic<Snapshot, SessionEvent> = {
  getInitialSnapshot: () => AT_REST,
  transition: (snapshot, event, scope) => sessionMachine.transition(snapshot, event, scope),
  getPersistedSnapshot: (snapshot) => snapshot,
}

/** The machine as tables: every receipt of every request is a step of it. */
const TABLES = chartOf(sessionMachine)

/**
 * The state after `event`, or undefined when the machine does not allow the event in this state.
 *
 * @example
 * ```ts
 * import { ABSENT_SESSION, transitionSession } from 'mpp-flow/machines'
 *
 * const session = { ...ABSENT_SESSION, channelId: `0x${'12'.repeat(32)}` }
 * const opened = transitionSession({ status: 'opening', session }, { type: 'OPEN_CONFIRMED', deposit: '5000000' })
 * console.log(opened?.status)
 * ```
 */
export function transitionSession(state: SessionState, event: SessionEvent): SessionState | undefined {
  if (TABLES === null) return transitionByXState(state, event)
  const taken = TABLES.transition({ state: state.status, context: state.session, done: false }, event)
  if (taken === undefined || !isSessionStatus(taken.snapshot.state)) return undefined
  return { status: taken.snapshot.state, session: taken.snapshot.context }
}

/** The same by XState itself, for a machine that the tables do not know. */
export function transitionByXState(state: SessionState, event: SessionEvent): SessionState | undefined {
  const before = sessionMachine.resolveState({ value: state.status, context: state.session })
  if (!before.can(event)) return undefined
  const [after] = transition(STEP, before, event)
  const status = after.value
  if (!isSessionStatus(status)) return undefined
  return { status, session: after.context }
}
