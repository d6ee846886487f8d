// The pictures are well-formed, legible, self-contained and the same every time.
// Must never look only at what the layout meant: texts are measured in the finished document.

import { describe, expect, it } from 'vitest'
import { createMachine } from 'xstate'
import { layOutBest } from '../../src/inspect/diagram/choose.js'
import { machineGraph } from '../../src/inspect/diagram/graph.js'
import { groupGraph } from '../../src/inspect/diagram/grouping.js'
import { layOut } from '../../src/inspect/diagram/layout.js'
import { crossingsOf, faultsOf } from '../../src/inspect/diagram/quality.js'
import { PLAIN_RULES } from '../../src/inspect/diagram/rules.js'
import { drawSvg } from '../../src/inspect/diagram/svg.js'
import { escapeXml, textWidth } from '../../src/inspect/diagram/text.js'
import { documentsOf } from '../../src/inspect/documents.js'
import { PICTURES } from '../../src/inspect/pictures.js'

/** Throws unless the document is one well-formed element; gives the names of all elements. */
function elementsOf(xml: string): readonly string[] {
  const open: string[] = []
  const names: string[] = []
  const rest = xml.replaceAll(/<(\/?)([A-Za-z]+)((?:\s+[A-Za-z-:]+="[^"<]*")*)\s*(\/?)>/g, (...match: string[]) => {
    const [, closing, name = '', attributes = '', empty] = match
    const keys = [...attributes.matchAll(/\s([A-Za-z-:]+)="/g)].map(([, key]) => key)
    if (new Set(keys).size !== keys.length) throw new Error(`<${name}> has an attribute twice`)
    if (closing === '/' && open.pop() !== name) throw new Error(`</${name}> closes something else`)
    if (closing !== '/') names.push(name)
    if (closing !== '/' && empty !== '/') open.push(name)
    if (open.length === 0 && names.length > 1 && closing !== '/') throw new Error(`<${name}> is outside the root`)
    return ''
  })
  if (open.length > 0) throw new Error(`<${open.join('>, <')}> is never closed`)
  if (/[<>]|&(?!(?:amp|lt|gt|quot);)/.test(rest)) throw new Error('a character is not escaped')
  return names
}

it('the check for well-formed XML finds what is wrong', () => {
  expect(elementsOf('<a><b c="1"/>x &amp; y</a>')).toEqual(['a', 'b'])
  for (const wrong of ['<a><b></a></b>', '<a>', '<a b="1" b="2"/>', '<a>&nbsp;</a>', '<a/><b/>', '<a>1 < 2</a>']) {
    expect(() => elementsOf(wrong)).toThrow()
  }
})

describe.each(PICTURES)('the picture of $name', async (picture) => {
  const { machine, rules, layout, title } = picture
  const graph = machineGraph(machine)
  const laidOut = await layOutBest(groupGraph(graph, rules), layout)
  const svg = drawSvg(laidOut, { title, description: graph.description })
  const [, width = 0, height = 0] = (/viewBox="0 0 (\d+) (\d+)"/.exec(svg) ?? []).map(Number)

  it('is well-formed and needs nothing from outside', () => {
    const elements = new Set(elementsOf(svg))
    for (const forbidden of ['script', 'foreignObject', 'image', 'use', 'a', 'link']) {
      expect(elements).not.toContain(forbidden)
    }
    expect(svg).not.toMatch(/href|url\(|@import|@font-face|var\(/)
    expect(svg.match(/https?:[^"]*/g)).toEqual(['http://www.w3.org/2000/svg'])
  })

  it('has nothing that lies on something else', () => {
    expect(faultsOf(laidOut)).toEqual([])
    expect(crossingsOf(laidOut)).toBeLessThan(10)
  })

  it('has all its texts inside, none under 10 px at a width of 900 px', () => {
    const sizes = [...svg.matchAll(/font-size:([\d.]+)px/g)].map(([, size]) => Number(size))
    expect((Math.min(...sizes) * 900) / width).toBeGreaterThanOrEqual(10)
    const shift = Number(/translate\((\d+) /.exec(svg)?.[1] ?? 0)
    const texts = [...svg.matchAll(/<text x="([\d.-]+)" y="([\d.-]+)" class="([^"]+)"([^>]*)>([^<]*)</g)]
    expect(texts.length).toBeGreaterThan(graph.states.length)
    for (const [, x, y, classes = '', rest = '', text = ''] of texts) {
      const size = classes.startsWith('title') ? 22 : classes.startsWith('name') ? 15 : 14
      const wide = textWidth(text, size, /name|title|happy/.test(classes))
      const left = Number(x) - (rest.includes('middle') ? wide / 2 : 0)
      expect(left, text).toBeGreaterThanOrEqual(0)
      expect(left + wide + shift, text).toBeLessThanOrEqual(width)
      expect(Number(y), text).toBeLessThan(height)
    }
  })

  it('says what it is, and describes each state', () => {
    expect(svg).toContain(`<title id="picture-title">${escapeXml(title)}</title>`)
    expect(svg).toContain(`<desc id="picture-description">${escapeXml(graph.description)}</desc>`)
    for (const { path, name, description, parent } of graph.states.filter(({ parent }) => parent !== null)) {
      expect(svg, `${parent}`).toContain(`<title>${escapeXml(`${path}: ${description}`)}</title>`)
      expect(svg).toContain(`class="name">${name}</text>`)
    }
  })

  it('is the same every time', async () => {
    const files = await documentsOf(picture)
    expect(files.find(({ file }) => file.endsWith('.svg'))?.content).toBe(svg)
  })
})

describe('the quality of a picture', async () => {
  const machine = createMachine({
    id: 'm',
    initial: 'a',
    states: { a: { on: { GO: 'b', SKIP: 'c' } }, b: { on: { ON: 'c', BACK: 'a' } }, c: { type: 'final' } },
  })
  const laidOut = await layOut(groupGraph(machineGraph(machine), PLAIN_RULES))

  it('is faultless for a machine nobody made rules for', () => {
    expect(faultsOf(laidOut)).toEqual([])
  })

  it('suffers from boxes, labels and arrows that lie on one another', () => {
    const [first, second, ...others] = laidOut.states
    if (first === undefined || second === undefined) throw new Error('the picture has lost its states')
    const moved = { ...second, x: first.x, y: first.y }
    expect(faultsOf({ ...laidOut, states: [first, moved, ...others] })).toContain('a overlaps b')
    const piled = laidOut.arrows.map((arrow) => ({ ...arrow, label: { ...first, width: 40, height: 18 } }))
    const faults = faultsOf({ ...laidOut, arrows: piled })
    expect(faults).toContainEqual(expect.stringContaining('lies on a'))
    expect(faults).toContainEqual(expect.stringContaining('overlap'))
    const { x, y, width, height } = second
    const through = laidOut.arrows.map((placed) =>
      placed.arrow?.id === 'm.a → m.c'
        ? {
            ...placed,
            points: [
              { x: x - 50, y: y + height / 2 },
              { x: x + width + 50, y: y + height / 2 },
            ],
          }
        : placed,
    )
    expect(faultsOf({ ...laidOut, arrows: through })).toContain('m.a → m.c runs through b')
    expect(faultsOf({ ...laidOut, width: 10 })).toContain('something lies outside the picture')
  })
})
