// The grammar of WWW-Authenticate (RFC 9110 §11.2, §11.6.1) written a second time, as patterns.
// Must never share code with the parser it judges.

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const QUOTED = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\uffff]|\\\\[\\t \\x21-\\x7e\\x80-\\uffff])*"'
const PARAMETER = `${TOKEN}[ \\t]*=[ \\t]*(?:${TOKEN}|${QUOTED})`
const TOKEN68 = '[A-Za-z0-9._~+/-]+=*'
const FIRST = `${TOKEN}(?:[ \\t]+(?:${PARAMETER}|${TOKEN68}))?`

/** One element of the list with what ends it. Sticky, so that each character is looked at once. */
const ELEMENT = new RegExp(`[ \\t]*(?:(${PARAMETER})|${FIRST}|)[ \\t]*(?:,|$)`, 'y')

/** Whether the whole value is a list of challenges. */
export function isChallengeList(header: string): boolean {
  let at = 0
  // Parameters may follow a scheme and white space, after a comma as well; a scheme without white space takes none.
  let open = false
  let schemes = 0
  while (at < header.length) {
    ELEMENT.lastIndex = at
    const match = ELEMENT.exec(header)
    if (match === null || match[0] === '') return false
    if (match[1] !== undefined && !open) return false
    if (match[1] === undefined && /[^ \t,]/.test(match[0])) {
      open = /[^ \t,][ \t]/.test(match[0])
      schemes += 1
    }
    at = ELEMENT.lastIndex
  }
  return schemes > 0
}

/** Every value that a parameter of this name has in the header, unescaped as RFC 9110 §5.6.4 says. */
export function parameterValues(header: string, name: string): string[] {
  const pattern = new RegExp(`(?<![^\\s,"])${name}[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\.)*)"|([^,]*))`, 'gis')
  return [...header.matchAll(pattern)].map(([, quoted, bare]) =>
    quoted === undefined ? (bare ?? '').trim() : quoted.replace(/\\(.)/gs, '$1'),
  )
}

/** What the elements of the list begin with, and what stands before each `=`: the names of schemes and parameters. */
export function elementNames(header: string): string[] {
  const bare = header.replace(/"(?:[^"\\]|\\.)*"/gs, '""')
  return [...bare.matchAll(/(?<=^|,[ \t]*|[ \t])([^\s,="]+)(?=[ \t]*(?:=|,|$|[ \t][^\s,="]+[ \t]*=))/g)].map(
    (match) => match[1] ?? '',
  )
}
