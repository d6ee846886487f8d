// The colours and strokes of a picture, for light and dark.
// Must never use what GitHub or a plain SVG renderer lacks: no CSS variables, no imports, no fonts of our own.

/** Two colours of one thing: on a light card and on a dark one. */
interface Tone {
  readonly light: string
  readonly dark: string
}

const TONES = {
  card: { light: '#ffffff', dark: '#12161d' },
  cardEdge: { light: '#d4dae3', dark: '#2c3440' },
  box: { light: '#f5f7fa', dark: '#1c232d' },
  boxEdge: { light: '#8390a3', dark: '#66748a' },
  ink: { light: '#17202c', dark: '#eef2f7' },
  quiet: { light: '#51607a', dark: '#a9b5c6' },
  step: { light: '#5c6a7f', dark: '#94a2b6' },
  happy: { light: '#0b7a4b', dark: '#3fcf8e' },
  recovery: { light: '#b45309', dark: '#f5a742' },
  failure: { light: '#c02638', dark: '#ff7a85' },
  network: { light: '#2563eb', dark: '#5b9bff' },
  wallet: { light: '#8b3fd6', dark: '#bd8bff' },
  waiting: { light: '#94a0b3', dark: '#7f8da3' },
  other: { light: '#0f8a8a', dark: '#45c6c6' },
} as const satisfies Record<string, Tone>

const TAGS: Readonly<Record<string, keyof typeof TONES>> = {
  network: 'network',
  wallet: 'wallet',
  waiting: 'waiting',
  recovering: 'recovery',
  ended: 'ink',
}

/** The class of a tag's colour. */
export function tagClass(tag: string): string {
  return `tag-${TAGS[tag] ?? 'other'}`
}

function colours(scheme: keyof Tone): string {
  const tone = (name: keyof typeof TONES): string => TONES[name][scheme]
  const kinds = (['step', 'happy', 'recovery', 'failure', 'quiet'] as const).map(
    (kind) =>
      `.arrow.${kind} .shaft,.icon-line.${kind}{stroke:${tone(kind)}}` +
      `.arrow.${kind} .head,.icon-fill.${kind},.small.${kind},.label.${kind}{fill:${tone(kind)}}`,
  )
  const tags = [...new Set([...Object.values(TAGS), 'other' as const])].map(
    (name) => `.tag-${name}{fill:${tone(name)}}`,
  )
  return [
    `.card{fill:${tone('card')};stroke:${tone('cardEdge')}}`,
    `.halo{stroke:${tone('card')}}`,
    `.plate{fill:${tone('card')}}`,
    `.frame{fill:${tone('box')};stroke:${tone('boxEdge')}}`,
    `.compound .frame{fill:none}`,
    `.inner{stroke:${tone('boxEdge')}}`,
    `.name,.title{fill:${tone('ink')}}`,
    `.dot{fill:${tone('ink')}}`,
    ...kinds,
    ...tags,
  ].join('')
}

/** The whole style sheet of a picture. */
export const STYLE = [
  'text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif}',
  '.title{font-size:22px;font-weight:700}',
  '.name{font-size:15px;font-weight:600}',
  '.small,.label{font-size:14px}',
  '.shaft,.halo,.icon-line,.inner{fill:none}',
  '.shaft{stroke-width:1.6}',
  '.halo{stroke-width:6}',
  '.happy .shaft{stroke-width:3}',
  '.label.happy{font-weight:600}',
  '.icon-line{stroke-width:1.6;stroke-linecap:round;stroke-linejoin:round}',
  '.frame,.inner{stroke-width:1.4}',
  colours('light'),
  `@media (prefers-color-scheme:dark){${colours('dark')}}`,
].join('')
