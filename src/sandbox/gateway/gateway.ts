// A gateway for one payee on one chain: its routes, its accounting and its switches, behind one HTTP server.
// Must never share state with another gateway; two on one chain know nothing of each other.
import type { Client, LocalAccount } from 'viem'
import type { Address } from '../../protocol/hex.js'
import { CHANNEL_RESERVE } from '../../protocol/session-request.js'
import { lowerCase } from '../../tempo/index.js'
import { type AccountRoutes, createAccountRoutes } from './account-routes.js'
import { type AccountedCharge, type Accounting, createAccounting } from './accounting.js'
import { jsonAnswer } from './answer.js'
import { createChallengeStore } from './challenges.js'
import type { GatewayContext } from './context.js'
import { createInjections, type Injections } from './injection.js'
import { createKeyedMutex } from './keyed-mutex.js'
import { answerMppRequest } from './mpp-route.js'
import { createReplays } from './replays.js'
import { type GatewayExchange, type RoutedRequest, startServer } from './server.js'
import { checkChange, type GatewayOptions, readSettings } from './settings.js'

export interface GatewayStart {
  readonly client: Client
  readonly chainId: number
  readonly token: Address
  readonly decimals: number
  readonly payee: LocalAccount
  readonly sponsor: LocalAccount
  readonly operator: Address
  readonly host: string
  readonly port: number
  readonly options: GatewayOptions
  readonly observe?: ((exchange: GatewayExchange) => void) | undefined
  readonly charged?: ((charge: AccountedCharge) => void) | undefined
}

export interface Gateway {
  readonly url: string
  readonly accounting: Accounting
  readonly injections: Injections
  readonly accountRoutes: AccountRoutes
  /** Changes settings from the next request on. @throws OptionError naming the option that cannot be read. */
  configure(change: GatewayOptions): void
  stop(): Promise<void>
}

export const MPP_PATH = '/v1/mpp/chat/completions'

/** Starts a gateway. @throws OptionError for options that cannot be read, and what listening fails with. */
export async function startGateway(start: GatewayStart): Promise<Gateway> {
  let settings = readSettings(start.options, start.decimals)
  let realm = ''
  const accountRoutes = createAccountRoutes()
  const context: GatewayContext = {
    client: start.client,
    chainId: start.chainId,
    escrow: CHANNEL_RESERVE,
    token: lowerCase(start.token),
    payee: start.payee,
    operator: lowerCase(start.operator),
    sponsor: start.sponsor,
    accounting: createAccounting(),
    challengeStore: createChallengeStore(),
    channelMutex: createKeyedMutex(),
    injections: createInjections(),
    replays: createReplays(),
    charged: start.charged,
    settings: () => settings,
    realm: () => realm,
  }
  const route = async (request: RoutedRequest) => {
    if (request.path !== MPP_PATH) return accountRoutes.handle(request)
    if (request.method === 'POST') return answerMppRequest(context, request)
    const error = { code: 'method_not_allowed', message: 'Use POST on this route.' }
    return jsonAnswer(405, { error, request_id: request.requestId }, { allow: 'POST, OPTIONS' })
  }
  const { host, port, observe } = start
  const server = await startServer({ host, port, observe, maxBodyBytes: () => settings.maxBodyBytes, route })
  realm = server.authority
  return {
    url: server.url,
    accounting: context.accounting,
    injections: context.injections,
    accountRoutes,
    configure(change) {
      settings = readSettings(checkChange(change), start.decimals, settings)
    },
    stop: server.stop,
  }
}
