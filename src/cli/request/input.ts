// Makes a request of what was given: method, headers and the bytes of the body.
// Must never change a byte of the body, nor repeat a header or a body in a message.

import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { z } from 'zod'
import { usageError } from '../exit.js'
import { payerOptions, policyOptions } from '../payer.js'

/** All options of `request`. */
export const requestOptions = payerOptions.extend(policyOptions.shape).extend({
  request: z.string().optional(),
  header: z.array(z.string()).optional(),
  json: z.string().optional(),
  data: z.string().optional(),
  dryRun: z.boolean().default(false),
  approve: z.boolean().default(false),
  verbose: z.boolean().default(false),
  silent: z.boolean().default(false),
})

export type RequestOptions = z.infer<typeof requestOptions>

/** A request as fetch takes it. */
export interface RequestInput {
  readonly url: URL
  readonly init: RequestInit
}

/** @throws CommandError when the URL, a header or the body cannot be used. */
export async function readRequest(address: string | undefined, options: RequestOptions): Promise<RequestInput> {
  const url = readUrl(address, options)
  const headers = readHeaders(options.header ?? [])
  const body = await readBody(options)
  if (options.json !== undefined) {
    if (!headers.has('content-type')) headers.set('content-type', 'application/json')
    if (!headers.has('accept')) headers.set('accept', 'application/json')
  }
  const method = readMethod(options.request, body !== undefined)
  return { url, init: { method, headers, ...(body !== undefined && { body }) } }
}

function readUrl(address: string | undefined, { json }: RequestOptions): URL {
  if (address === undefined) {
    // `--json` without a body, meant as a wish for JSON output, takes the URL for the body.
    const mistaken = json !== undefined && URL.canParse(json)
    const hint = mistaken ? '. --json takes a body here; for JSON output it stands before the command' : ''
    throw usageError(`the URL is missing${hint}`)
  }
  const url = URL.canParse(address) ? new URL(address) : null
  if (url === null || !/^https?:$/.test(url.protocol)) throw usageError('what to ask for is no http or https URL')
  if (url.username !== '' || url.password !== '') {
    throw usageError('a URL with a user name or password is not sent; use -H for what the server wants to know')
  }
  return url
}

const HEADER = /^([!#$%&'*+.^_`|~0-9a-z-]+):(.*)$/i

function readHeaders(lines: readonly string[]): Headers {
  const headers = new Headers()
  for (const [index, line] of lines.entries()) {
    const [, name, value] = HEADER.exec(line) ?? []
    if (name === undefined || value === undefined) {
      throw usageError(`header ${index + 1} is not written as "Name: value"`)
    }
    try {
      headers.append(name, value.trim())
    } catch {
      throw usageError(`the value of the header ${name} has characters that cannot be sent`)
    }
  }
  return headers
}

function readMethod(given: string | undefined, hasBody: boolean): string {
  const method = given ?? (hasBody ? 'POST' : 'GET')
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(method)) throw usageError('-X takes a method, such as PUT')
  if (hasBody && /^(get|head)$/i.test(method)) throw usageError(`a ${method.toUpperCase()} request has no body`)
  return method
}

async function readBody({ json, data }: RequestOptions): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const given = json ?? data
  if (given === undefined) return undefined
  const bytes = await readBytes(json === undefined ? '--data' : '--json', given)
  if (json !== undefined && !isJson(bytes)) throw usageError('what --json gives is not JSON; --data takes other bodies')
  return bytes
}

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return true
  } catch {
    return false
  }
}

/** Text as it is, the bytes of a file after `@`, or those of standard input for `@-`. */
async function readBytes(option: string, given: string): Promise<Uint8Array<ArrayBuffer>> {
  if (!given.startsWith('@')) return new TextEncoder().encode(given)
  if (given === '@-') return new Uint8Array(await buffer(process.stdin))
  try {
    return new Uint8Array(await readFile(given.slice(1)))
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw usageError(`${option}: the file after @ cannot be read (${why})`)
  }
}
