// How wide a text will be in a font nobody knows yet: whatever sans-serif the reader's system has.
// Must never guess too narrow: widths are those of the widest fonts a browser falls back to.

/** Widths in thousandths of the font size: the larger of DejaVu Sans and Arial for every character. */
const WIDTHS: Readonly<Record<string, number>> = Object.fromEntries(
  [
    [278, "ijlI'"],
    [318, ' ,.!'],
    [337, '/\\|:;'],
    [361, '-'],
    [392, 'tf()[]{}'],
    [411, 'r'],
    [460, '"'],
    [500, 'J'],
    [525, 'szc*?'],
    [579, 'kvxy_L'],
    [636, 'abdeghnopqu0123456789$Z~<>=+T'],
    [670, 'AEFBPSVXYK'],
    [736, 'CDHNRU'],
    [800, 'GOQ&'],
    [838, 'w#'],
    [870, 'M'],
    [990, 'mW%@→…—×↺'],
  ].flatMap(([width, characters]) => [...String(characters)].map((character) => [character, Number(width)])),
)

const WIDEST = 1000

/** Bold letters of the same fonts are at most this much wider. */
const BOLD = 1.14

/** The width in pixels a single line takes at most. */
export function textWidth(text: string, fontSize: number, bold = false): number {
  const thousandths = [...text].reduce((sum, character) => sum + (WIDTHS[character] ?? WIDEST), 0)
  return (thousandths / 1000) * fontSize * (bold ? BOLD : 1)
}

/** Breaks a text between words so that no line is wider than `width` unless a single word is. */
export function wrap(text: string, fontSize: number, width: number): readonly string[] {
  return text.split(' ').reduce<string[]>((lines, word) => {
    const last = lines.at(-1)
    const longer = last === undefined ? word : `${last} ${word}`
    if (last !== undefined && textWidth(longer, fontSize) <= width) lines[lines.length - 1] = longer
    else lines.push(word)
    return lines
  }, [])
}

/** Text as XML character data or as a double-quoted attribute's value. */
export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
