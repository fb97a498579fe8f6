/**
 * Reads the context of a gap before anybody asks for it to be filled: encodings only, never a step. What it reads, a
 * later `fillGap` at that place, or a little further on, finds in the caches.
 */
import type { EncodingCache } from '../cache/encodingCache.ts'
import { planGap } from '../infill/plan.ts'
import type { Rooms } from './fillGap.ts'
import { beginsAnew, begunOf } from './sessionModel.ts'

/**
 * What is worth reading. `prefix`: where a cursor merely rests; as it moves on only what it passes is read, while the
 * suffix would be read anew at every place. `both`: where somebody types, which leaves the suffix as it is. `next`: where
 * somebody was just answered, what the next token typed needs, if the canvas then begins behind all that is there now.
 */
export type Ahead = 'prefix' | 'both' | 'next'

/**
 * Behind all that is waited for. Models that read their surroundings in every step have nothing to read ahead, and nothing is
 * sent before somebody asks where gaps are filled elsewhere as text.
 *
 * @param offset UTF-16 units into `text`.
 * @throws {Aborted} between two chunks when the signal fires; what was read until then is kept.
 * @throws {RangeError} when the offset is outside the text.
 */
export async function readAhead(
  { model, prefixes, suffixes, elsewhere, loop }: Rooms,
  { text, offset }: { readonly text: string; readonly offset: number },
  ahead: Ahead,
  signal: AbortSignal,
): Promise<void> {
  if (model.attention !== 'causal-context' || elsewhere) return
  const { prefixIds, suffixIds, held } = planGap(text, offset, model)
  const isNext = ahead === 'next'
  if (isNext && !beginsAnew(model, prefixIds, held)) return
  // What else there is before a gap is computed with its slots.
  const startIds = isNext ? prefixIds : prefixIds.slice(0, prefixIds.length - 1 - begunOf(model, prefixIds))
  const behindIds = ahead === 'both' ? suffixIds : []
  if (loop?.available) return loop.readAhead({ startIds, suffixIds: behindIds }, signal)
  const read = async (cache: EncodingCache, ids: readonly number[]) => (await cache.encode(ids, signal, 'ahead')).end()
  await read(prefixes, startIds)
  if (ahead === 'both') await read(suffixes, suffixIds)
}
