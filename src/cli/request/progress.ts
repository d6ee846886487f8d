// Shows where a flow is while it runs: one live line on a terminal, a line for each state elsewhere.
// Must never write to standard output, nor say more of a transition than its words.

import { createLogUpdate } from 'log-update'
import { type Colors, createTransitionWords } from '../transition-words.js'
import type { Transition } from '../transitions.js'

export interface Progress {
  show(transition: Transition): void
  /** A line that stays, above the live one. */
  note(line: string): void
  /** Takes the live line away. */
  end(): void
}

/** Says nothing of a flow, only what is noted. */
export function silentProgress(note: (line: string) => void): Progress {
  return { show: () => undefined, note, end: () => undefined }
}

/** A line for each state, and what led there. */
export function plainProgress(note: (line: string) => void, colors: Colors): Progress {
  const words = createTransitionWords(colors)
  return {
    note,
    end: () => undefined,
    show(transition) {
      const said = words.refusal(transition) ?? words.deed(transition)
      if (said !== null) note(said)
      const status = transition.httpStatus === undefined ? '' : `${transition.httpStatus} `
      note(`${transition.state}  ${colors.dim(`(${status}${transition.event})`)}`)
    },
  }
}

const ARROW = ' → '

/** Whether a line of this stream can be rewritten. */
export function isLive(stream: NodeJS.WriteStream): boolean {
  const size = stream.isTTY === true ? Math.min(stream.columns, stream.rows) : 0
  return size >= 10 && process.env.TERM !== 'dumb'
}

/** The last states on one line that is rewritten; refusals and signatures stay above it. */
export function liveProgress(stream: NodeJS.WriteStream, colors: Colors): Progress {
  const words = createTransitionWords(colors)
  const update = createLogUpdate(stream, { showCursor: true })
  let path: string[] = []
  const draw = (): void => {
    if (path.length > 0) update(fitting(path, stream.columns - 1, colors))
  }
  const note = (line: string): void => {
    update.clear()
    stream.write(`${line}\n`)
    draw()
  }
  return {
    note,
    end() {
      path = []
      update.clear()
      update.done()
    },
    show(transition) {
      const said = words.refusal(transition) ?? words.deed(transition)
      if (said !== null) note(said)
      path.push(words.state(transition.state).word)
      // A person is asked in this state: the question must not be written over.
      if (transition.state === 'authorizing.awaitingApproval') {
        path = []
        update.clear()
      } else draw()
    },
  }
}

/** As many of the last states as fit, the last one set off. */
function fitting(path: readonly string[], width: number, { bold, dim }: Colors): string {
  const last = path.at(-1) ?? ''
  let before = ''
  for (const state of path.slice(0, -1).reverse()) {
    const longer = `${state}${ARROW}${before}`
    if (longer.length + last.length > width - 2) {
      before = `… ${before}`
      break
    }
    before = longer
  }
  return `${dim(before)}${bold(last)}`
}
