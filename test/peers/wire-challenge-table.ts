// Where our challenge parser and mppx's part, and why: one entry for each class of header.
// Must never excuse a header by what a parser says of it where the header itself can be looked at.
import { type Challenge, MAX_CHALLENGE_HEADER_BYTES } from '../../src/protocol/index.js'
import { encodingDifferences, isRealMoment, looksLikeDateTime } from './wire-anatomy.js'
import type { Difference } from './wire-differential.js'
import { elementNames, isChallengeList, parameterValues } from './wire-grammar.js'

/** What is compared of a challenge: every parameter, the request decoded. */
export type Read = Record<keyof Challenge, unknown>

const MINIMAL = 'id="1", realm="r", method="tempo", intent="session"'
const GOOD = `Payment ${MINIMAL}, request="e30"`

const hasControl = (header: string) =>
  [...header].some((character) => character !== '\t' && (character < ' ' || character === '\x7f'))
const DIGEST = /^sha-256=(:?)[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=?\1$/
/** A value with an escape of theirs in it, in a parameter that they judge. */
const hasJudgedEscape = (header: string) =>
  /(?:method|request|expires|digest|header)[ \t]*=[ \t]*"(?:[^"\\]|\\.)*\\u[0-9a-fA-F]{4}/i.test(header)
const some = (header: string, name: string, fits: (value: string) => boolean) =>
  parameterValues(header, name).some(fits)

export const table: readonly Difference<string, readonly Read[]>[] = [
  {
    name: 'control characters in the header',
    side: 'only theirs accepts',
    why: 'no field value may hold them (RFC 9110 §5.5); only tab is allowed',
    applies: (header) => hasControl(header),
    example: `${GOOD}, description="a\nb"`,
  },
  {
    name: 'longer than 16 KB',
    side: 'only theirs accepts',
    why: 'theirs bounds the request parameter only; ours bounds the header, which a hostile server fills at will',
    applies: (header) => header.length > MAX_CHALLENGE_HEADER_BYTES,
    example: `${GOOD}, description="${'x'.repeat(MAX_CHALLENGE_HEADER_BYTES)}"`,
  },
  {
    name: 'no list of challenges by the grammar',
    side: 'only theirs accepts',
    why:
      'theirs takes parameters without a comma between them, unquoted values that are no tokens, white space that is none in a header, ' +
      'and stops reading without a word where it understands nothing; ours refuses what RFC 9110 §11.6.1 does not generate',
    applies: (header) => !isChallengeList(header),
    example: `Payment ${MINIMAL} request="e30"`,
  },
  ...encodingDifferences<string, readonly Read[]>(
    (header) => parameterValues(header, 'request')[0],
    (request) => `Payment ${MINIMAL}, request="${request}"`,
    { amount: '1' },
  ),
  {
    name: 'an expiry that names no moment, is finer than nanoseconds, or is empty',
    side: 'only theirs accepts',
    why: 'their pattern takes the thirtieth of February and leap seconds, and an empty expiry for none; a credential for a challenge of unknown expiry must not be sent',
    applies: (header) =>
      some(
        header,
        'expires',
        (text) => text === '' || (looksLikeDateTime(text) && (!isRealMoment(text) || /\.\d{10}/.test(text))),
      ),
    example: `${GOOD}, expires="2026-02-30T10:00:00Z"`,
  },
  {
    name: 'a digest that is not SHA-256 of 32 bytes',
    side: 'only theirs accepts',
    why: 'theirs looks at the prefix only, and takes an empty digest for none; a digest that cannot be compared with the body binds nothing',
    applies: (header) => some(header, 'digest', (text) => !DIGEST.test(text)),
    example: `${GOOD}, digest="sha-256=AA=="`,
  },
  {
    name: '\\uXXXX in a value that is only good once it is decoded',
    side: 'only theirs accepts',
    why: 'theirs decodes the escape in every parameter; RFC 9110 §5.6.4 makes it a `u` and four digits',
    applies: hasJudgedEscape,
    example: `${GOOD}, expires="2026-11-22T10:00:00\\u005a"`,
  },
  {
    name: '\\uXXXX in a value that is only good as it stands',
    side: 'only ours accepts',
    why: 'the same; nothing but the method, a digest or a time comes of it, and each of those is judged by what ours reads',
    applies: hasJudgedEscape,
    example: GOOD.replace('tempo', 'temp\\u0041'),
  },
  {
    name: 'an expiry with small letters',
    side: 'only ours accepts',
    why: 'RFC 3339 §5.6 allows `t` and `z`',
    applies: (header) => some(header, 'expires', (text) => /[tz]/.test(text) && looksLikeDateTime(text.toUpperCase())),
    example: `${GOOD}, expires="2026-11-22t10:00:00z"`,
  },
  {
    name: 'SHA-256 that is not named first, is in capitals, or has white space about it',
    side: 'only ours accepts',
    why: 'a digest is a dictionary of algorithms (RFC 9530 §2); servers send more than one, and the names are compared without case in older fields',
    applies: (header) =>
      some(header, 'digest', (text) => !text.startsWith('sha-256=') && /(?:^|,)[ \t]*sha-256[ \t]*=/i.test(text)),
    example: `${GOOD}, digest="sha-512=AA==, sha-256=${'A'.repeat(43)}="`,
  },
  {
    name: 'a method with capitals or a digit first',
    side: 'only ours accepts',
    why: 'ours reads the list without judging methods, and pays for `tempo` exactly: any other spelling ends in challenge_unsupported',
    applies: (header) => some(header, 'method', (text) => text !== 'tempo' && !/^[a-z][a-z0-9:_-]*$/.test(text)),
    example: GOOD.replace('"tempo"', '"Tempo"'),
  },
  {
    name: 'a parameter or scheme name with characters beyond letters, digits, - and _',
    side: 'only ours accepts',
    why: 'a name is a token (RFC 9110 §11.2), and what is unknown is ignored; theirs stops or refuses there',
    applies: (header) => elementNames(header).some((name) => /[^A-Za-z0-9_-]/.test(name)),
    example: GOOD.replace('Payment', 'Payment a!b="1",'),
  },
  {
    name: 'a parameter that only theirs knows: meta',
    side: 'only ours accepts',
    why: 'unknown parameters are ignored; `meta` is a name of their own object that a header can set',
    applies: (header) => isChallengeList(header) && some(header, 'meta', () => true),
    example: `${GOOD}, meta="e30"`,
  },
  {
    name: 'a parameter of another scheme that is called Payment',
    side: 'only ours accepts',
    why: 'theirs takes `Payment =` for the scheme when white space follows the name; the grammar makes it a parameter',
    applies: (header) => isChallengeList(header) && /(?:^|,)[ \t]*Payment[ \t]+=/i.test(header),
    example: `Bearer realm="a", Payment = "x", ${GOOD}`,
  },
  {
    name: 'a bad challenge beside a good one',
    side: 'only ours accepts',
    why: 'theirs refuses the whole header; ours leaves the bad one out, because a server may offer what we cannot read beside what we can pay',
    applies: (header, ours) =>
      ours.accepted && ours.value.length < (header.match(/(?:^|[,\s])payment(?=[\s,]|$)/gi)?.length ?? 0),
    example: `Payment id="2", ${GOOD}`,
  },
  {
    name: 'a challenge left out that theirs reads',
    side: 'read differently',
    why: 'one of the challenges has what only theirs accepts; the others are read alike',
    applies: (_, ours, theirs) =>
      ours.accepted &&
      theirs.accepted &&
      ours.value.length < theirs.value.length &&
      ours.value.every(({ id }) => theirs.value.some((other) => other.id === id)),
    example: `Payment ${MINIMAL} request="e30", ${GOOD.replace('"1"', '"2"')}`,
  },
  {
    name: 'reading that stops at a name with characters beyond letters, digits, - and _',
    side: 'read differently',
    why: 'as above: theirs takes the name for the next scheme and drops the parameters behind it without a word',
    applies: (header) => elementNames(header).some((name) => /[^A-Za-z0-9_-]/.test(name)),
    example: `${GOOD}, a!b="1", opaque="e30"`,
  },
  {
    name: '\\uXXXX outside the description, or for a character of Latin-1',
    side: 'read differently',
    why:
      'in a quoted string a backslash stands for the character after it (RFC 9110 §5.6.4). Ours follows their extension where servers need it, ' +
      'in the description and above Latin-1, so that no quote or line break comes out of an escape in a value that is bound or echoed',
    applies: (header) => /\\u[0-9a-fA-F]{4}/.test(header),
    example: `${GOOD}, opaque="\\u2014"`,
  },
  {
    name: 'an empty description or opaque',
    side: 'read differently',
    why: 'theirs takes it for none; ours keeps what was received, since the challenge is echoed as received',
    applies: (header) => ['description', 'opaque'].some((name) => some(header, name, (text) => text === '')),
    example: `${GOOD}, opaque=""`,
  },
  {
    name: 'a credential header that is the default',
    side: 'read differently',
    why: 'theirs takes it for none; ours keeps what was received, since the challenge is echoed as received',
    applies: (header) => some(header, 'header', (text) => text.toLowerCase() === 'authorization'),
    example: `${GOOD}, header="authorization"`,
  },
  {
    name: 'a request member called __proto__',
    side: 'read differently',
    why: 'theirs drops it from the decoded request; ours echoes the request as received and reads only the members it knows',
    applies: (header) =>
      some(header, 'request', (text) => Buffer.from(text, 'base64url').toString('utf8').includes('"__proto__"')),
    example: `Payment ${MINIMAL}, request="${Buffer.from('{"__proto__":{"a":1}}').toString('base64url')}"`,
  },
]
