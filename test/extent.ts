// How much of the generated cases a run takes: a tenth in `npm test`, all of them in `npm run test:all`.
// Must never leave out what is written by hand.

/** Whether everything is run. */
export const ALL = process.env.MPP_FLOW_TEST_ALL === 'true'

const PART = 10

/** How many of so many generated cases. */
export function cases(all: number): number {
  return ALL ? all : Math.ceil(all / PART)
}

/** Which of the listed ones: all, or every tenth from the first. */
export function some<T>(all: readonly T[]): readonly T[] {
  return ALL ? all : all.filter((_, index) => index % PART === 0)
}
