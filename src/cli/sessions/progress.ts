// Shows how far a forced close or a recovery is: a live line with the time left on a terminal, a line now and then elsewhere.
// Must never promise a time that nothing supports, nor write to standard output.

import { createLogUpdate } from 'log-update'
import type { ForceCloseProgress, RecoverProgress } from '../../client/index.js'
import type { CommandRun } from '../command-run.js'
import { isLive } from '../request/progress.js'

/** One line that is rewritten, or one after the other where a stream cannot do that. */
export interface StepLine {
  /** @param live what a terminal shows now; @param plain what is said once elsewhere, null for nothing. */
  show(live: string, plain: string | null): void
  /** Takes the live line away. */
  end(): void
}

export function stepLine(run: CommandRun, stream: NodeJS.WriteStream = process.stderr): StepLine {
  if (run.json) return { show: () => undefined, end: () => undefined }
  if (isLive(stream)) {
    const update = createLogUpdate(stream, { showCursor: true })
    return {
      show: (live) => update(live.slice(0, stream.columns - 1)),
      end() {
        update.clear()
        update.done()
      },
    }
  }
  let said = ''
  return {
    show(_live, plain) {
      if (plain !== null && plain !== said) run.note(plain)
      said = plain ?? said
    },
    end: () => undefined,
  }
}

const BAR = 20

/** `[████████────────────]` */
function bar(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * BAR)
  return `[${'█'.repeat(full)}${'─'.repeat(BAR - full)}]`
}

/** `14:05` of minutes and seconds, with hours where there are any. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds))
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, '0'))
  const hours = Math.floor(whole / 3600)
  return hours === 0 ? parts.join(':') : `${hours}:${parts.join(':')}`
}

const STEPS: Readonly<Record<ForceCloseProgress['step'], string>> = {
  deciding: 'waiting for what was signed before, which the chain may still include',
  requesting: 'asking the chain for the close',
  waiting: 'the grace period is running, in which the payee may still settle',
  withdrawing: 'withdrawing what is left of the deposit',
}

/** The grace period of TIP-1034 and a minute. Only how long the bar is; what is left is the chain's to say. */
const GRACE_SECONDS = 16 * 60
const TICK_MS = 1_000

/** Says each step once; what is left of the wait each second where it can be rewritten, each minute elsewhere. */
export function forceCloseLine(line: StepLine): { show(progress: ForceCloseProgress): void; end(): void } {
  let tick: ReturnType<typeof setInterval> | undefined
  const stop = (): void => clearInterval(tick)
  return {
    show({ step, secondsLeft, withdrawableAt }) {
      stop()
      if (step !== 'waiting' || secondsLeft === null || withdrawableAt === null) {
        line.show(STEPS[step], STEPS[step])
        return
      }
      // The chain is looked at every few seconds; in between, time goes by here as it does there.
      const seen = Date.now()
      const draw = (): void => {
        const left = secondsLeft - (Date.now() - seen) / 1000
        const until = new Date(withdrawableAt * 1000).toISOString().replace('.000Z', 'Z')
        const minutes = Math.ceil(secondsLeft / 60)
        line.show(
          `${bar(1 - left / Math.max(GRACE_SECONDS, secondsLeft))} ${clock(left)} left of the grace period, until ${until}; Ctrl-C, and go on later`,
          `${STEPS.waiting}: ${minutes} min left, until ${until}; Ctrl-C, and go on later`,
        )
      }
      draw()
      tick = setInterval(draw, TICK_MS)
      tick.unref()
    },
    end() {
      stop()
      line.end()
    },
  }
}

/** A search that takes no longer than this needs no words about it. */
const QUIET_MS = 2_000
const TENTHS = 10

/** Says how much of the ledger and of each chain was looked at, and about how long the rest will take. */
export function recoverLine(line: StepLine, now: () => number = Date.now): (progress: RecoverProgress) => void {
  const started = now()
  return (progress) => {
    const { left, of } = progress
    const share = of === 0 ? 1 : 1 - left / of
    const spent = now() - started
    if (progress.step === 'settling') {
      const words = `${of - left} of ${of} channels of the ledger looked at`
      line.show(`${bar(share)} ${words}`, spent < QUIET_MS ? null : words)
      return
    }
    const remaining = share <= 0 ? null : (spent * (1 - share)) / share / 1000
    const time = remaining === null || left === 0 ? '' : `, about ${clock(remaining)} left`
    const what = `chain ${progress.chainId}: ${of - left} of ${of} blocks searched`
    const tenths = Math.floor(share * TENTHS) * (100 / TENTHS)
    const plain = `searching chain ${progress.chainId}, escrow ${progress.escrow}: ${tenths}% of ${of} blocks`
    line.show(`${bar(share)} ${what}${time}`, spent < QUIET_MS ? null : plain)
  }
}
