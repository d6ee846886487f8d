// Starts the page: what arrives goes into the store, and the views are drawn from it, at most once per frame.
// Must never draw for every message: fifty flows send more of them than a screen has frames.

import type { ControlView } from '../live/messages.js'
import { connect, receiveFromOpener } from './connection.js'
import { controlPanel } from './controls.js'
import { details } from './details.js'
import { byId } from './dom.js'
import { flowStrip } from './flow-strip.js'
import { listenToKeys } from './keys.js'
import { stage } from './stage.js'
import { createStore } from './store.js'
import { tallyBar } from './tally.js'

const store = createStore()
let asked = false
let later: ReturnType<typeof setTimeout> | undefined

/** Draws at the next frame, once. */
function changed(): void {
  if (asked) return
  asked = true
  requestAnimationFrame(draw)
}

function press(control: ControlView): void {
  const flow = store.selected?.flow.name ?? null
  store.pressing(control)
  connection.press(control.id, store.repeat, flow)
  changed()
}

const views = [
  tallyBar(byId('tally'), byId('link'), byId('title'), store),
  flowStrip(byId('flows'), store, changed),
  controlPanel(byId('controls'), byId('said'), store, press),
  stage(byId('stage'), store, changed),
  details(byId('details'), store, { changed, press }),
]

function draw(): void {
  asked = false
  const wait = store.advance(performance.now())
  for (const update of views) update()
  store.drawn()
  clearTimeout(later)
  if (wait !== null) later = setTimeout(changed, wait)
}

const connection = connect({
  lost() {
    store.disconnect()
    changed()
  },
  messages(messages) {
    for (const message of messages) store.apply(message)
    changed()
  },
})
receiveFromOpener()
listenToKeys(store, changed)
changed()
