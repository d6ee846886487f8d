// Prints the demo for a person: every act with a heading, every flow with the states it goes through, as it happens.
// Must never write an escape code where colours are off, nor more than 100 columns.

import { counted, inTokens, thousands } from '../money.js'
import { type Colors, isCode, lastPart } from '../transition-words.js'
import { type Aggregate, createAggregate, type Milestone } from './aggregate.js'
import { createFlowLines, type FlowLines } from './flow-lines.js'
import type {
  AccountsReport,
  OutcomeReport,
  Reporter,
  SettingReport,
  StepEndReport,
  StepReport,
  SummaryReport,
  TransitionReport,
} from './reports.js'
import { accountsTable, stepsTable } from './tables.js'
import { createWording } from './wording.js'

/** Where the printer writes. */
export interface Terminal {
  write(text: string): void
  /** Undefined when it is no terminal. */
  readonly columns: number | undefined
  /** Whether a line may be rewritten in place. */
  readonly rewritable: boolean
}

const WIDEST = 100
const NARROWEST = 40
const CLEAR_LINE = '\r\u001b[2K'

/** States that are worth a line when many flows come to them; so is every code. */
const NOTABLE: ReadonlySet<string> = new Set(['paying', 'awaitingApproval', 'backingOff', 'succeeded', 'failed'])

function notable({ event, state }: TransitionReport): string | null {
  if (isCode(event)) return event
  const name = lastPart(state)
  return NOTABLE.has(name) ? name : null
}

/** Creates the printer. All it prints comes from reports. */
export function createTerminalPrinter(terminal: Terminal, colors: Colors): Reporter {
  const width = Math.max(NARROWEST, Math.min(terminal.columns ?? WIDEST, WIDEST))
  const { write, rewritable } = terminal
  const { bold, dim, cyan, green, red } = colors
  const wording = createWording(colors)
  const tallies: StepEndReport[] = []
  let steps = 0
  let current: { readonly flow: number; readonly lines: FlowLines } | null = null
  let aggregate: Aggregate | null = null
  let accounts: AccountsReport | null = null

  const line = (text = ''): void => write(`${text}\n`)
  /** Removes the line that says where the flows of an aggregate are. */
  const clear = (): void => write(rewritable ? CLEAR_LINE : '')

  function linesOf(flow: number): FlowLines {
    if (current?.flow === flow) return current.lines
    const label = `  ${`#${flow}`.padEnd(3)} `
    const lines = createFlowLines({ write, label, width, faint: dim })
    current = { flow, lines }
    return lines
  }

  function showStep(transition: TransitionReport): void {
    const lines = linesOf(transition.flow)
    const note = wording.refusal(transition) ?? wording.deed(transition)
    const answer = wording.answer(transition)
    if (note !== null) lines.note(note)
    else if (answer !== null) lines.step(answer.word, answer.paint)
    const { word, paint } = wording.state(transition.state)
    lines.step(word, paint)
    // A closed channel is the end of its act; nothing else would end the line.
    if (transition.state === 'closed') lines.end()
  }

  function showMilestone({ flows, transition }: Milestone): void {
    const { word, paint } = wording.answer(transition) ?? wording.state(transition.state)
    const text = wording.refusal(transition) ?? paint(word)
    const { event, cumulative = '0' } = transition
    const more = event === 'planReuses' ? dim(`  with the voucher up to ${inTokens(cumulative)}`) : ''
    clear()
    line(`${bold(`${String(flows).padStart(4)} ×`)} ${text}${more}`)
  }

  function showInAggregate(all: Aggregate, transition: TransitionReport): void {
    const deed = wording.deed(transition)
    if (deed !== null) {
      clear()
      line(`   1 × ${deed}`)
    }
    const complete = all.note(transition)
    if (complete !== null) showMilestone(complete)
    if (!rewritable) return
    clear()
    write(dim(`       ${all.whereabouts()}`.slice(0, width - 1)))
  }

  function showSetting(setting: SettingReport): void {
    line()
    line(`  ${bold('mpp-flow')}  chat completions, paid for with Tempo sessions`)
    line()
    for (const [name, text] of wording.setting(setting)) line(`  ${dim(name.padEnd(9))} ${text}`)
  }

  function showAct({ title, why, together, requests }: StepReport): void {
    steps += 1
    line()
    line(cyan(bold(`${steps}  ${title}`)))
    line(`   ${why}`)
    line()
    current = null
    aggregate = together ? createAggregate(requests, notable) : null
  }

  function showOutcome({ flow, status, problem, cost, tokens, channel }: OutcomeReport): void {
    if (status === 'failed') {
      clear()
      linesOf(flow).note(`${red(bold('✗ failed'))}  ${problem ?? ''}`)
    } else if (aggregate === null) {
      linesOf(flow).note(`${bold(inTokens(cost))} for ${counted(tokens, 'token')}  ${wording.channel(channel)}`)
    }
  }

  function showActEnd(end: StepEndReport): void {
    tallies.push(end)
    if (aggregate === null) return
    clear()
    for (const unfinished of aggregate.rest()) showMilestone(unfinished)
    line(`       ${bold(inTokens(end.spent))} for ${counted(end.requests, 'request')}  ${wording.channel(end.channel)}`)
    aggregate = null
  }

  function showSummary(summary: SummaryReport): void {
    const { requests, channelsOpened, vouchersSigned, voucherReuses, conserved } = summary
    line()
    line(cyan(bold('What was paid')))
    line()
    line(stepsTable(tallies, summary, colors))
    line()
    if (accounts !== null) line(accountsTable(accounts, summary, colors))
    line()
    const where = `${counted(requests, 'request')} on ${counted(channelsOpened, 'channel')}`
    const how = `${counted(vouchersSigned, 'signature')}, ${thousands(voucherReuses)} times a voucher that was there already`
    line(`   ${where}: ${how}.`)
    line(
      conserved
        ? `   ${green('✓')} The balances on the chain account for every unit.`
        : `   ${red('✗')} The balances on the chain do not account for every unit.`,
    )
    line()
  }

  return (report) => {
    switch (report.type) {
      case 'setting':
        return showSetting(report)
      case 'act':
        return showAct(report)
      case 'transition':
        return aggregate === null ? showStep(report) : showInAggregate(aggregate, report)
      case 'outcome':
        return showOutcome(report)
      case 'actEnd':
        return showActEnd(report)
      case 'summary':
        return showSummary(report)
      case 'accounts':
        accounts = report
    }
  }
}
