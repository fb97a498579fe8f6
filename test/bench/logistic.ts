/** Logistic regression by Newton's method, ridge on all weights but the first, which stands for what is always there. */

/**
 * @param rows `[N][F]`, each beginning with 1; numbers of like size.
 * @param right `[N]`, 0 or 1.
 * @param ridge pulls weights to 0: nats for a weight of √2.
 * @returns `[F]`
 */
export function fitLogistic(rows: readonly (readonly number[])[], right: readonly number[], ridge: number): number[] {
  const count = rows[0]!.length
  const weights = Array<number>(count).fill(0)
  for (let round = 0; round < 50; round++) {
    const penalty = (i: number) => (i === 0 ? 1e-9 : ridge)
    const gradient = weights.map((weight, i) => penalty(i) * weight)
    const curvature = weights.map((_, i) => weights.map((_, j) => (i === j ? penalty(i) : 0)))
    for (const [n, row] of rows.entries()) {
      const probability = logistic(row, weights)
      for (let i = 0; i < count; i++) {
        gradient[i]! += row[i]! * (probability - right[n]!)
        for (let j = 0; j < count; j++) curvature[i]![j]! += row[i]! * row[j]! * probability * (1 - probability)
      }
    }
    const step = solve(curvature, gradient)
    for (let i = 0; i < count; i++) weights[i]! -= step[i]!
    if (step.every((change) => Math.abs(change) < 1e-9)) break
  }
  return weights
}

/** The probability that a row is right. */
export function logistic(row: readonly number[], weights: readonly number[]): number {
  return 1 / (1 + Math.exp(-row.reduce((sum, value, i) => sum + value * weights[i]!, 0)))
}

/** By Gauss's elimination with pivots. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]!])
  for (let i = 0; i < rows.length; i++) {
    let pivot = i
    for (let k = i + 1; k < rows.length; k++) if (Math.abs(rows[k]![i]!) > Math.abs(rows[pivot]![i]!)) pivot = k
    ;[rows[i], rows[pivot]] = [rows[pivot]!, rows[i]!]
    for (let k = 0; k < rows.length; k++) {
      if (k === i) continue
      const factor = rows[k]![i]! / rows[i]![i]!
      for (let j = i; j <= rows.length; j++) rows[k]![j]! -= factor * rows[i]![j]!
    }
  }
  return rows.map((row, i) => row.at(-1)! / row[i]!)
}
