/** What an engine may be asked: ids and positions that the model has, rows that the job has. All else is a `RangeError`. */
import type { RowSpan, StepJob, TokenIds } from '../engine.ts'
import type { EngineOptions } from './protocol.ts'

/** @param limit ids are below it. */
export function checkedIds<Ids extends readonly number[]>(ids: Ids, limit: number): Ids {
  const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= limit)
  if (bad !== undefined) throw new RangeError(`token id ${bad} is out of range; ids are 0 to ${limit - 1}`)
  return ids
}

export function checkedPositions<Positions extends readonly number[]>(
  positions: Positions,
  { maxPositions: limit }: EngineOptions,
): Positions {
  const bad = positions.find((position) => !Number.isInteger(position) || position < 0 || position >= limit)
  if (bad !== undefined)
    throw new RangeError(
      `position ${bad} is out of range; the model's positions are 0 to ${limit - 1}, give it less text`,
    )
  return positions
}

export function checkedSpans({ ids, keep = [] }: StepJob): readonly RowSpan[] {
  const isCount = (value: number) => Number.isInteger(value) && value >= 0
  const bad = keep.find(({ first, count }) => !isCount(first) || !isCount(count) || first + count > ids.length)
  if (bad !== undefined)
    throw new RangeError(`${bad.count} rows from row ${bad.first} on were to be kept, the job has ${ids.length} rows`)
  return keep
}

export function checkedScores({ asked, scoreIds }: StepJob, { vocab }: EngineOptions): TokenIds | undefined {
  if (scoreIds === undefined) return undefined
  if (scoreIds.length !== asked.length)
    throw new RangeError(`${scoreIds.length} tokens to score for ${asked.length} asked positions; give one for each`)
  return checkedIds(scoreIds, vocab)
}

/** Index of the row that scores a position. */
export function askedRow(job: StepJob, position: number, { logitsShift }: EngineOptions): number {
  const row = job.positions.indexOf(position - logitsShift)
  if (row < 0)
    throw new RangeError(`position ${position} was asked, but the row that scores it is not among the job's rows`)
  return row
}
