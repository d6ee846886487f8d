// Makes elements. Texts are always text: nothing that arrives is ever parsed as HTML.
// Must never set markup from a string.

/** What an element is made with: attributes, and listeners under names that begin with `on`. */
export type Properties = Readonly<Record<string, string | number | boolean | null | ((event: Event) => void)>>

export type Child = Node | string | null

function apply(element: Element, properties: Properties, children: readonly Child[]): void {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value)
    else if (value === true) element.setAttribute(name, '')
    else if (value !== false && value !== null) element.setAttribute(name, String(value))
  }
  element.append(...children.filter((child) => child !== null))
}

/** An HTML element. */
export function html<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name)
  apply(element, properties, children)
  return element
}

/** An SVG element. */
export function svg<Name extends keyof SVGElementTagNameMap>(
  name: Name,
  properties: Properties = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[Name] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name)
  apply(element, properties, children)
  return element
}

/** The element with this id. @throws Error when the page has none. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`the page has no element "${id}"`)
  return element
}

/** A name that may be broken after its underscores and before its capitals, so that it fits into a narrow column. */
export function breakable(name: string): DocumentFragment {
  const fragment = document.createDocumentFragment()
  name.split(/(?<=_)|(?<=\/)|(?<=[a-z])(?=[A-Z])/).forEach((part, index) => {
    if (index > 0) fragment.append(document.createElement('wbr'))
    fragment.append(part)
  })
  return fragment
}
