// Which names that a server gives may be shown: ids, realms, hashes and codes that are short and repeat nothing secret.
// Must never be asked about what is sent back to the server: a challenge is answered with its id as it came.
//
// A name repeats a secret when both have twelve letters or digits in a row (or the whole name, of six and more), in either
// case and with any signs between them: as they are, in hex, or in base64 of either alphabet. What is turned around,
// enciphered, or spread over several answers is not found.

/** As long as any name that servers are known to give. */
const FORM = /^[A-Za-z0-9._:/+=@~-]{1,128}$/

/** So much in a row is no accident. */
const RUN = 12
/** A name shorter than a run is compared as a whole, but not one that any text holds. */
const SHORTEST = 6
/** Each run holds one of the blocks that a name is cut into. */
export const BLOCK = RUN / 2

/** Of a longer text, the beginning and the end are looked at. */
const MOST_BYTES = 262_144

const UTF8 = new TextEncoder()
const LATIN1 = new TextDecoder('latin1')

/** What each byte counts as; zero: nothing. Signs are left out, and what is beyond ASCII stays. */
const LETTERS = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x41 && byte <= 0x5a) return byte + 0x20
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte >= 0x80 ? byte : 0
})

/** The letters and digits of a text, in lower case. */
export function lettersOf(text: string | Uint8Array): string {
  const bytes = typeof text === 'string' ? UTF8.encode(text) : text
  if (bytes.length > MOST_BYTES) {
    const half = MOST_BYTES / 2
    return `${lettersOf(bytes.subarray(0, half))} ${lettersOf(bytes.subarray(bytes.length - half))}`
  }
  const kept = new Uint8Array(bytes.length)
  let length = 0
  for (let at = 0; at < bytes.length; at += 1) {
    const letter = LETTERS[bytes[at] ?? 0] ?? 0
    if (letter !== 0) kept[length++] = letter
  }
  return LATIN1.decode(kept.subarray(0, length))
}

/** What was sent or signed, as names are held against it. */
export interface Secrets {
  /** What this request consists of, by `lettersOf`. */
  readonly sent: string
  /** Whether letters repeat something that was signed. */
  isSigned?(letters: string): boolean
}

/** The name, if it may be shown: of a form that names have, and no repetition of a secret. */
export function shownName(name: string, secrets: Secrets): string | null {
  return FORM.test(name) && !repeats(name, secrets) ? name : null
}

/** Whether a text holds something that was sent or signed. */
export function repeats(text: string, secrets: Secrets): boolean {
  const isSecret = (letters: string): boolean =>
    letters.length >= SHORTEST && (secrets.isSigned?.(letters) === true || sharesRun(letters, secrets.sent))
  return isSecret(lettersOf(text)) || decodings(text).some((bytes) => isSecret(lettersOf(bytes)))
}

/** Whether letters and a text, both by `lettersOf`, have a run in common. */
export function sharesRun(letters: string, text: string): boolean {
  if (letters.length < RUN) return text.includes(letters)
  for (let block = 0; block + BLOCK <= letters.length; block += BLOCK) {
    const found = letters.slice(block, block + BLOCK)
    for (let at = text.indexOf(found); at >= 0; at = text.indexOf(found, at + 1)) {
      if (runAround(letters, block, text, at) >= RUN) return true
    }
  }
  return false
}

/** How long the run is that both have in common around a block, as far as that matters. */
function runAround(letters: string, block: number, text: string, at: number): number {
  let before = 0
  while (before < BLOCK && block > before && letters[block - before - 1] === text[at - before - 1]) before += 1
  let after = BLOCK
  while (before + after < RUN && block + after < letters.length && letters[block + after] === text[at + after]) {
    after += 1
  }
  return before + after
}

const HEX_DIGITS = /[0-9a-f]{24,}/gi
const BASE64_DIGITS = /[A-Za-z0-9+/_-]{8,}/g

/** What a name may be an encoding of: of hex and of base64, wherever in it that begins. */
function decodings(text: string): Uint8Array[] {
  const found: Uint8Array[] = []
  for (const [digits] of text.matchAll(HEX_DIGITS)) found.push(bytesOfHex(digits), bytesOfHex(digits.slice(1)))
  for (const [digits] of text.matchAll(BASE64_DIGITS)) {
    for (let shift = 0; shift < 4; shift += 1) found.push(bytesOfBase64(digits, shift))
  }
  return found
}

/** @param digits without `0x` */
export function bytesOfHex(digits: string): Uint8Array {
  const bytes = new Uint8Array(digits.length >> 1)
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16)
  return bytes
}

/** No decoder takes what a server has cut anywhere: these are the whole bytes from the digit `shift` on. */
function bytesOfBase64(digits: string, shift: number): Uint8Array {
  const bytes = new Uint8Array(((digits.length - shift) * 6) >> 3)
  let bits = 0
  let held = 0
  let length = 0
  for (let at = shift; at < digits.length; at += 1) {
    bits = ((bits << 6) | (SEXTETS[digits.charCodeAt(at)] ?? 0)) & 0xffff
    held += 6
    if (held < 8) continue
    held -= 8
    bytes[length++] = bits >> held
  }
  return bytes
}

/** What each digit of base64 stands for, in both alphabets. */
const SEXTETS = Uint8Array.from({ length: 128 }, (_, code) => {
  const digit = String.fromCharCode(code).replace('-', '+').replace('_', '/')
  return Math.max(0, 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'.indexOf(digit))
})
