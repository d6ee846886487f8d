// The base64url codec where there is no Buffer: what `#base64url` is in a browser build, of the npm package's shape.
// Must never be stricter or laxer than that package on text which base64url.ts has checked; a test compares the two.

/** The part of the npm package that is used. It takes any bytes, although its own types ask for a Buffer. */
export interface Base64urlCodec {
  encode(input: Uint8Array | string): string
  /** Of text that is known to be valid. */
  toBuffer(text: string): Uint8Array
}

/** Bytes that become one call's arguments: engines limit how many those can be. */
const CHUNK = 8192

const codec: Base64urlCodec = {
  encode(input) {
    const bytes = typeof input === 'string' ? new TextEncoder().encode(input) : input
    let binary = ''
    for (let at = 0; at < bytes.length; at += CHUNK) binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK))
    return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
  },
  toBuffer(text) {
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
    return Uint8Array.from(binary, (character) => character.charCodeAt(0))
  },
}

// Node gives a CommonJS package as its default export, and this one names itself `default` once more.
export default { default: codec }
