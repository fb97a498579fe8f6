/** How often completions repeat what stands right of the cursor, with the filters off and on. */
import { type Duplicate, duplicateOf } from './duplicates.ts'
import type { FilterPlace } from './places.ts'

/** What became of one place. */
export interface Filtered {
  readonly place: FilterPlace
  /** What the model wrote; where the rest of a line is wanted, its first line. */
  readonly raw: string
  /** Undefined when the filters left nothing. */
  readonly finished: { readonly text: string; readonly replaceAfter: number } | undefined
}

export interface Rates {
  readonly places: number
  /** Completions, of which the rest are shares. */
  readonly off: number
  readonly on: number
  readonly duplicatesOff: number
  readonly duplicatesOn: number
  readonly byKindOff: Readonly<Record<Duplicate, number>>
  readonly byKindOn: Readonly<Record<Duplicate, number>>
  /** Exactly what stood there. */
  readonly exactOff: number
  readonly exactOn: number
  /** Exact as the model wrote it, and not any more. */
  readonly broken: number
}

export function ratesOf(all: readonly Filtered[]): Rates {
  const written = all.filter(({ raw }) => raw.trim() !== '')
  const shown = all.filter(({ finished }) => finished !== undefined)
  const off = written.map(({ place, raw }) => duplicateOf(raw, 0, place))
  const on = shown.map(({ place, finished }) => duplicateOf(finished!.text, finished!.replaceAfter, place))
  return {
    places: all.length,
    off: written.length,
    on: shown.length,
    duplicatesOff: off.filter(Boolean).length,
    duplicatesOn: on.filter(Boolean).length,
    byKindOff: byKind(off),
    byKindOn: byKind(on),
    exactOff: all.filter(isExactRaw).length,
    exactOn: all.filter(isExactFinished).length,
    broken: all.filter((one) => isExactRaw(one) && !isExactFinished(one)).length,
  }
}

export function isExactRaw({ place, raw }: Filtered): boolean {
  return raw.trimEnd() === place.truth.trimEnd()
}

export function isExactFinished({ place, finished }: Filtered): boolean {
  const { text, offset, truth } = place
  const added = finished?.text ?? ''
  // What is replaced must have been written again.
  const replaced = text.slice(offset, offset + (finished?.replaceAfter ?? 0))
  return added.trimEnd() === (truth + replaced).trimEnd()
}

function byKind(found: readonly (Duplicate | undefined)[]): Record<Duplicate, number> {
  const count = (kind: Duplicate) => found.filter((one) => one === kind).length
  return { rest: count('rest'), closer: count('closer'), line: count('line') }
}
