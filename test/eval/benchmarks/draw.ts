/** Which cases of many: drawn by a seed, in an order in which more of them begin with the fewer. */
import { seededRandom } from '../../bench/stats.ts'

export function drawn<Item>(items: readonly Item[], limit: number | undefined, seed: number): Item[] {
  if (limit === undefined || limit >= items.length) return [...items]
  const random = seededRandom(seed)
  const rest = [...items]
  return Array.from({ length: limit }, () => rest.splice(Math.floor(random() * rest.length), 1)[0]!)
}
