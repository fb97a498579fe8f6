/** What an engine may be asked: ids and positions that the model has, rows that the job has. All else is a `RangeError`. */
import type { RowSpan, StepJob, TokenIds } from './engine.ts'

/** What a model has. */
export interface ModelLimits {
  readonly vocab: number // ids the head scores: 0 … vocab-1
  readonly inputIds: number // ids the embedding knows: 0 … inputIds-1
  readonly maxPositions: number // rows may stand at 0 … maxPositions-1
  readonly logitsShift: 0 | 1
}

/** @param limit ids are below it. */
export function checkedIds<Ids extends readonly number[]>(ids: Ids, limit: number): Ids {
  const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= limit)
  if (bad !== undefined) throw new RangeError(`token id ${bad} is out of range; ids are 0 to ${limit - 1}`)
  return ids
}

export function checkedPositions<Positions extends readonly number[]>(
  positions: Positions,
  { maxPositions: limit }: ModelLimits,
): Positions {
  const bad = positions.find((position) => !Number.isInteger(position) || position < 0 || position >= limit)
  if (bad !== undefined)
    throw new RangeError(
      `position ${bad} is out of range; the model's positions are 0 to ${limit - 1}, give it less text`,
    )
  return positions
}

export function checkedSpans({ ids, keep = [] }: StepJob): readonly RowSpan[] {
  const bad = outside(keep, ids.length)
  if (bad !== undefined)
    throw new RangeError(`${bad.count} rows from row ${bad.first} on were to be kept, the job has ${ids.length} rows`)
  return keep
}

/** Who sees whom among a job's rows, where the job says it. */
export function checkedSees({ ids, sees }: StepJob): readonly (readonly RowSpan[])[] | undefined {
  if (sees === undefined) return undefined
  if (sees.length !== ids.length)
    throw new RangeError(`${sees.length} rows are told whom they see, the job has ${ids.length}`)
  for (const [row, spans] of sees.entries()) {
    const bad = outside(spans, ids.length)
    if (bad)
      throw new RangeError(
        `row ${row} was to see rows ${bad.first} to ${bad.first + bad.count - 1}, the job has ${ids.length}`,
      )
    // A row that sees nothing has no distribution.
    if (!spans.some(({ first, count }) => first <= row && row < first + count))
      throw new RangeError(`row ${row} does not see itself`)
  }
  return sees
}

/** @returns a span that is not within `count` rows. */
function outside(spans: readonly RowSpan[], count: number): RowSpan | undefined {
  const isCount = (value: number) => Number.isInteger(value) && value >= 0
  return spans.find((span) => !isCount(span.first) || !isCount(span.count) || span.first + span.count > count)
}

export function checkedScores({ asked, askedRows, scoreIds }: StepJob, { vocab }: ModelLimits): TokenIds | undefined {
  if (scoreIds === undefined) return undefined
  const count = asked.length + (askedRows?.length ?? 0)
  if (scoreIds.length !== count)
    throw new RangeError(`${scoreIds.length} tokens to score for ${count} asked positions; give one for each`)
  return checkedIds(scoreIds, vocab)
}

/** Indices of the rows that are asked, in the order of what is predicted. */
export function allAskedRows(job: StepJob, options: ModelLimits): number[] {
  const byRow = job.askedRows ?? []
  if (byRow.length > 0 && options.logitsShift !== 1)
    throw new RangeError('rows can be asked for the token after their own only where logits are shifted')
  const bad = byRow.find((row) => !Number.isInteger(row) || row < 0 || row >= job.ids.length)
  if (bad !== undefined) throw new RangeError(`row ${bad} was asked, the job has ${job.ids.length} rows`)
  return [...job.asked.map((position) => askedRow(job, position, options)), ...byRow]
}

/** Index of the row that scores a position. */
function askedRow(job: StepJob, position: number, { logitsShift }: ModelLimits): number {
  const row = job.positions.indexOf(position - logitsShift)
  if (row < 0)
    throw new RangeError(`position ${position} was asked, but the row that scores it is not among the job's rows`)
  return row
}
