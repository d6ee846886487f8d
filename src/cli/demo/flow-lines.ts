// Writes the states of one flow as it goes through them: words that are appended, and wrapped before the margin.
// Must never move the cursor back: what is written stays, so that a pipe shows the same as a terminal.

import type { Paint } from '../transition-words.js'

export interface FlowLines {
  /** Adds a word to the line, after an arrow. */
  step(word: string, paint?: Paint): void
  /** Ends the line, and writes one of its own. */
  note(text: string): void
  /** Ends the line. */
  end(): void
}

const ARROW = ' → '

/**
 * @param label stands in front of the first line; the others are indented as far.
 * @param width the last column that may be written to.
 */
export function createFlowLines(options: {
  readonly write: (text: string) => void
  readonly label: string
  readonly width: number
  readonly faint: Paint
}): FlowLines {
  const { write, label, width, faint } = options
  const indent = ' '.repeat(label.length)
  let column = 0
  let labelled = false

  const start = (): void => {
    write(labelled ? indent : label)
    labelled = true
    column = label.length
  }
  const end = (): void => {
    if (column > 0) write('\n')
    column = 0
  }

  return {
    end,
    note(text) {
      end()
      start()
      write(text)
      end()
    },
    step(word, paint = (text) => text) {
      if (column === 0) {
        start()
      } else if (column + ARROW.length + word.length > width) {
        end()
        start()
        write(faint(ARROW.trimStart()))
        column += ARROW.trimStart().length
      } else {
        write(faint(ARROW))
        column += ARROW.length
      }
      write(paint(word))
      column += word.length
    },
  }
}
