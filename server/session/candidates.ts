/**
 * What is offered to somebody who asked by hand: the best, and others to choose from. Of a block of several lines its
 * first line too, since editors take an item whole; otherwise what it would be had the model decided differently where it
 * was least sure.
 */
import type { TextEdit } from '../base/spans.ts'
import { fillGap, type Rooms } from './fillGap.ts'
import type { Filled, GapRequest } from './gaps.ts'

/** `others`: of the same snapshot, the best first, each different from all before it. */
export type Candidates = Filled & { readonly others: readonly TextEdit[] }

const mostOthers = 2
/** Surer than this, another token is a slip: no candidate. */
const doubtful = 0.9

/**
 * The others are filled together, over the context that the best one has had read.
 *
 * @param onProgress called after each step of the best with the edit as it would be now.
 * @throws as `fillGap` does.
 */
export async function fillCandidates(
  rooms: Rooms,
  gap: GapRequest,
  signal: AbortSignal,
  onProgress: (edit: TextEdit) => void,
): Promise<Candidates> {
  const best = await fillGap(rooms, gap, signal, onProgress)
  if (best.kind === 'nothing') return { ...best, others: [] }
  const firstLine = gap.scope === 'block' ? firstLineOf(best.edit) : undefined
  const others: TextEdit[] = []
  for (const edit of firstLine ? [firstLine] : await otherwise(rooms, gap, best, signal))
    if (![best.edit, ...others].some(({ text }) => text === edit.text)) others.push(edit)
  return { ...best, others }
}

/** As far as the first line that says something; undefined where there is no other. */
function firstLineOf({ span, text }: TextEdit): TextEdit | undefined {
  const first = /^\s*\S[^\r\n]*/.exec(text)?.[0]
  return first === undefined || first.length === text.length ? undefined : { span, text: first }
}

async function otherwise(rooms: Rooms, gap: GapRequest, { ids, probabilities }: Filled, signal: AbortSignal) {
  const doubts = [...probabilities.keys()]
    .filter((i) => probabilities[i]! < doubtful)
    .sort((a, b) => probabilities[a]! - probabilities[b]!)
    .slice(0, mostOthers)
  const filled = await Promise.all(
    doubts.map((i) => fillGap(rooms, { ...gap, otherThan: ids.slice(0, i + 1) }, signal)),
  )
  return filled.flatMap((one) => (one.kind === 'completion' ? [one.edit] : []))
}
