// Finds the name that a mistyped one was probably meant to be.

/** The most that two names of this length may differ by and still be taken for the same. */
const mostEdits = (name: string): number => Math.min(3, Math.ceil(name.length / 3))

/**
 * The known name that is nearest to `given`, or undefined when none is near. A text that is near to a known name differs
 * from it by three letters at most, so it is no secret and may be shown.
 */
export function nearestName(given: string, known: readonly string[]): string | undefined {
  let nearest: string | undefined
  let fewest = Number.POSITIVE_INFINITY
  for (const name of known) {
    const most = mostEdits(name)
    if (Math.abs(name.length - given.length) > most) continue
    const edits = name.toLowerCase() === given.toLowerCase() ? 0 : distance(given, name)
    if (edits <= most && edits < fewest) {
      nearest = name
      fewest = edits
    }
  }
  return nearest
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row += 1) {
    const here = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1] ? 0 : 1
      const [left, up, corner] = [here[column - 1] ?? 0, above[column] ?? 0, above[column - 1] ?? 0]
      here.push(Math.min(left + 1, up + 1, corner + same))
    }
    above = here
  }
  return above[b.length] ?? 0
}
