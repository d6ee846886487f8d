// Bundles the pages of the browser tests and serves them beside a gateway and its chain, as one origin.
// Must never answer for the gateway: what is asked of it is handed on.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const PAGES = ['payer', 'receiver']
/** Of one connection, or written anew by whoever sends. */
const NOT_HANDED_ON = ['connection', 'content-length', 'host', 'keep-alive', 'transfer-encoding', 'content-encoding']

export interface ServedPages {
  readonly url: string
  stop(): Promise<void>
}

async function bundle(folder: string): Promise<void> {
  await build({
    root: HERE,
    configFile: false,
    logLevel: 'error',
    // The package names built files; here the source is bundled, which need not have been built.
    resolve: {
      alias: {
        '#base64url': join(HERE, '../../../src/protocol/base64url-native.ts'),
        '#undici': join(HERE, '../../../src/client/transport/no-undici.ts'),
      },
    },
    build: {
      outDir: folder,
      minify: false,
      rollupOptions: {
        input: Object.fromEntries(PAGES.map((name) => [name, join(HERE, `${name}.ts`)])),
        output: { entryFileNames: '[name].js', chunkFileNames: '[name].js' },
      },
    },
  })
}

async function handOn(incoming: IncomingMessage, target: string): Promise<Response> {
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (typeof value === 'string' && !NOT_HANDED_ON.includes(name)) headers.set(name, value)
  }
  const body = new Uint8Array(await buffer(incoming))
  return fetch(target, { method: incoming.method ?? 'GET', headers, ...(body.length > 0 && { body }) })
}

/** Serves `/payer`, `/receiver`, the gateway's routes and `/rpc`. */
export async function servePages(gateway: string, rpcUrl: string): Promise<ServedPages> {
  const folder = await mkdtemp(join(tmpdir(), 'mpp-flow-pages-'))
  await bundle(folder)
  const server = createServer(async (incoming, outgoing) => {
    const path = incoming.url ?? '/'
    const name = path.slice(1)
    if (PAGES.includes(name)) {
      const page = `<!doctype html><title>${name}</title><script type="module" src="/${name}.js"></script>`
      outgoing.writeHead(200, { 'content-type': 'text/html' }).end(page)
    } else if (/^\/[\w.-]+\.js$/.test(path)) {
      const script = await readFile(join(folder, name)).catch(() => null)
      outgoing.writeHead(script === null ? 404 : 200, { 'content-type': 'text/javascript' }).end(script)
    } else if (path === '/rpc' || path.startsWith('/v1/')) {
      const answer = await handOn(incoming, path === '/rpc' ? rpcUrl : gateway + path)
      const headers = [...answer.headers].filter(([header]) => !NOT_HANDED_ON.includes(header))
      outgoing.writeHead(answer.status, Object.fromEntries(headers)).end(Buffer.from(await answer.arrayBuffer()))
    } else outgoing.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the pages have no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true, force: true })
    },
  }
}
