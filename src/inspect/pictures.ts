// The machines that are drawn, and how: which run is the happy path, what gathers many arrows, what codes have in common.
// Must never describe behaviour: states and arrows come from the machines alone.

import type { AnyStateMachine } from 'xstate'
import { paymentFlowMachine, providerRouteMachine, sessionMachine } from '../../machines/index.js'
import type { LayoutOptions, LayoutRules } from './diagram/layout.js'
import type { PictureRules } from './diagram/rules.js'

/** A machine with a picture. */
export interface Picture {
  /** Name of its files, without ending. */
  readonly name: string
  readonly title: string
  readonly machine: AnyStateMachine
  readonly rules: PictureRules
  readonly layout: LayoutRules
}

/** At most three large states stand beside each other. */
const BESIDE_EACH_OTHER: LayoutOptions = {
  'elk.layered.layering.strategy': 'COFFMAN_GRAHAM',
  'elk.layered.layering.coffmanGraham.layerBound': '3',
}
const NARROW: LayoutOptions = { 'elk.layered.layering.strategy': 'MIN_WIDTH' }

/** States stand as near to the first one as they can. */
const FROM_THE_START: LayoutOptions = { 'elk.layered.layering.strategy': 'LONGEST_PATH_SOURCE' }
const LABELS_HALFWAY: LayoutOptions = { 'elk.layered.edgeLabels.centerLabelPlacementStrategy': 'MEDIAN_LAYER' }

/** Every machine of this package, in the order they are documented. */
export const PICTURES: readonly Picture[] = [
  {
    name: 'payment-flow',
    title: 'payment-flow: one paid request',
    machine: paymentFlowMachine,
    rules: {
      happyPaths: [
        [
          'requesting',
          'parsingChallenge',
          'authorizing.acquiringSession',
          'authorizing.planning',
          'paying',
          'verifyingReceipt',
          'succeeded',
        ],
        ['authorizing.planning', 'authorizing.openingSession', 'paying'],
        ['authorizing.planning', 'authorizing.signingVoucher', 'paying'],
      ],
      failures: ['failed'],
      noted: [
        { to: ['requesting', 'authorizing.planning'], kind: 'recovery' },
        { from: ['requesting'], to: ['succeeded', 'closed', 'backingOff', 'authorizing.reconcilingSession'] },
        {
          from: ['authorizing.awaitingApproval', 'authorizing.openingSession'],
          to: ['parsingChallenge', 'backingOff'],
        },
        { from: ['authorizing.toppingUp', 'authorizing.reconcilingSession'], to: ['parsingChallenge'] },
        { from: ['closing.sendingClose'], to: ['parsingChallenge'] },
        { from: ['parsingChallenge'], to: ['backingOff'] },
        { from: ['backingOff'], to: ['parsingChallenge', 'authorizing', 'authorizing.reconcilingSession'] },
        { from: ['resending'], to: ['verifyingReceipt', 'succeeded', 'backingOff'] },
      ],
      noteWidth: 0,
    },
    layout: { '': BESIDE_EACH_OTHER, authorizing: NARROW },
  },
  {
    name: 'session',
    title: 'session: one payment channel',
    machine: sessionMachine,
    rules: {
      happyPaths: [['absent', 'opening', 'open', 'closing', 'closed']],
      failures: ['lost'],
      noted: [
        { to: ['open'], events: ['CHANNEL_ADOPTED'] },
        { from: ['closed', 'withdrawn', 'lost'], to: ['opening'] },
      ],
      noteWidth: 240,
    },
    layout: { '': LABELS_HALFWAY },
  },
  {
    name: 'provider-route',
    title: 'provider-route: one request with a Virtual Key',
    machine: providerRouteMachine,
    rules: {
      happyPaths: [['ready', 'requesting', 'succeeded']],
      failures: ['failed', 'cancelled'],
      noted: [
        {
          from: ['retestingConnection', 'refreshingModels'],
          to: ['reconnectRequired', 'spendLimitReached', 'rateLimited', 'temporarilyUnavailable', 'backingOff'],
        },
        { from: ['retestingConnection'], to: ['policyBlocked'] },
        { from: ['spendLimitReached', 'rateLimited', 'temporarilyUnavailable'], to: ['refreshingModels'] },
        { from: ['spendLimitReached', 'policyBlocked', 'rateLimited', 'temporarilyUnavailable'], to: ['requesting'] },
        { from: ['spendLimitReached', 'policyBlocked'], to: ['retestingConnection'] },
      ],
      noteWidth: 190,
    },
    layout: { '': FROM_THE_START },
  },
]
