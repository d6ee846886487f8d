// The types of fetch that only TypeScript's DOM library names, by what every library with a fetch has.
// Must never name one of them: where there is no DOM library, it would be `any` to whoever uses this package.

/** What fetch takes first: `RequestInfo | URL` in the DOM library. */
export type FetchInput = Parameters<typeof globalThis.fetch>[0]

/** What headers are made of: `HeadersInit` in the DOM library. */
export type HeadersInput = NonNullable<ConstructorParameters<typeof Headers>[0]>

/** What a body is made of, or null: `BodyInit | null` in the DOM library. */
export type BodyInput = NonNullable<ConstructorParameters<typeof Response>[0]> | null

/** How a response came about: `ResponseType` in the DOM library. */
export type ResponseKind = Response['type']
