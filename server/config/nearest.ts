/** The name somebody most likely meant. Pure. */

/** The candidate fewest single-letter edits away, case aside, a beginning counting as one; none when no likely slip. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined
  let fewest = Math.max(2, Math.floor(word.length / 2.5)) + 1
  for (const candidate of candidates) {
    const [a, b] = [word.toLowerCase(), candidate.toLowerCase()]
    const edits = a.startsWith(b) || (a.length > 2 && b.startsWith(a)) ? 1 : editDistance(a, b)
    if (edits < fewest) [best, fewest] = [candidate, edits]
  }
  return best
}

/** For the end of a complaint: the likely name, or all there are. */
export function suggestion(word: string, candidates: readonly string[]): string {
  const near = nearest(word, candidates)
  return near ? `did you mean "${near}"?` : `there are ${candidates.join(', ')}`
}

/** Levenshtein's. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, count) => count)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const kept = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(kept, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[to.length]!
}
