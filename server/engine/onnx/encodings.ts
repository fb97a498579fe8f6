/**
 * Kept keys and values, and the buffers they are laid out in for a pass.
 *
 * An encoding is a chain of segments: typing appends rows, an edit branches off; rows are stored once. Keys are not
 * rotated, so a row may stand at any position.
 */
import type { EncodingId } from '../engine.ts'

export interface KeyValueShape {
  readonly layers: number
  readonly kvHeads: number
  readonly headDim: number
}

/** Rows `[parentRows, parentRows + ownRows)` of an encoding; the rows before are the parent's first `parentRows`. */
export interface Segment {
  readonly parent: Segment | undefined
  readonly parentRows: number
  readonly ownRows: number
  readonly keys: readonly Float32Array[] // per layer [kvHeads, ownRows, headDim]
  readonly values: readonly Float32Array[]
}

export class EncodingStore {
  private readonly segments = new Map<EncodingId, Segment>()
  private nextId = 1

  add(segment: Segment): EncodingId {
    const id = this.nextId++
    this.segments.set(id, segment)
    return id
  }

  /** @throws {RangeError} for a released or unknown id. */
  get(id: EncodingId): Segment {
    const segment = this.segments.get(id)
    if (!segment) throw new RangeError(`encoding ${id} is unknown or was released`)
    return segment
  }

  /** Segments that others continue stay reachable through them. */
  release(ids: readonly EncodingId[]): void {
    for (const id of ids) this.segments.delete(id)
  }
}

export function rowsOf(segment: Segment): number {
  return segment.parentRows + segment.ownRows
}

/** A run of rows of one segment, `from` counted in its own rows. */
export interface Run {
  readonly segment: Segment
  readonly from: number
  readonly count: number
}

/** The first `rows` rows of an encoding as runs, in order. */
export function runsOf(segment: Segment, rows: number): Run[] {
  const runs: Run[] = []
  let wanted = rows
  for (let at: Segment | undefined = segment; at && wanted > 0; at = at.parent) {
    if (wanted > at.parentRows) runs.push({ segment: at, from: 0, count: wanted - at.parentRows })
    wanted = Math.min(wanted, at.parentRows)
  }
  return runs.reverse()
}

export function rowsIn(runs: readonly Run[]): number {
  return runs.reduce((sum, { count }) => sum + count, 0)
}

/** Where a run lies in a buffer, in columns. */
interface Placed extends Run {
  readonly column: number
}

export const columnStep = 64 // capacities are multiples of this, so that a session sees few shapes

/** Per layer `[kvHeads, capacity, headDim]`. */
export interface Columns {
  readonly capacity: number
  readonly keys: readonly Float32Array[]
  readonly values: readonly Float32Array[]
}

/**
 * Keys and values side by side, as a pass takes them. Columns that a pass does not need are masked by it, so rows once copied
 * stay where they are.
 */
export class ContextBuffer implements Columns {
  readonly shape: KeyValueShape
  capacity = 0
  keys: readonly Float32Array[] = []
  values: readonly Float32Array[] = []
  lastUsed = 0
  version = 0 // another one whenever something else lies here
  private used = 0
  private placed = new WeakMap<Segment, Placed>() // a released segment is not kept for its copy

  /** @param columns where it is to lie, if not in memory of its own; it then holds no more than these. */
  constructor(shape: KeyValueShape, columns?: Columns) {
    this.shape = shape
    if (columns) ({ capacity: this.capacity, keys: this.keys, values: this.values } = columns)
  }

  /** How many rows of `runs` lie here already. */
  overlap(runs: readonly Run[]): number {
    return runs.reduce((sum, run) => sum + Math.min(run.count, this.placed.get(run.segment)?.count ?? 0), 0)
  }

  /** Copies in what is missing; afterwards every run has a column. Starts over when too much here is of no use. */
  hold(runs: readonly Run[]): void {
    const isAbsent = ({ segment, count }: Run) => (this.placed.get(segment)?.count ?? 0) < count
    if (this.used + rowsIn(runs.filter(isAbsent)) > rowsIn(runs) + columnStep) this.clear()
    const absent = runs.filter(isAbsent)
    this.reserve(this.used + rowsIn(absent))
    for (const run of absent) this.place(run)
  }

  /** First column of a run that `hold` placed. */
  columnOf(run: Run): number {
    return this.placed.get(run.segment)!.column + run.from
  }

  private clear(): void {
    this.placed = new WeakMap()
    this.used = 0
  }

  private place(run: Run): void {
    const { layers, kvHeads, headDim } = this.shape
    const column = this.used
    this.version++
    for (let layer = 0; layer < layers; layer++) {
      for (const [from, to] of [
        [run.segment.keys[layer]!, this.keys[layer]!],
        [run.segment.values[layer]!, this.values[layer]!],
      ] as const) {
        for (let head = 0; head < kvHeads; head++) {
          const start = head * run.segment.ownRows * headDim
          to.set(from.subarray(start, start + run.count * headDim), (head * this.capacity + column) * headDim)
        }
      }
    }
    this.placed.set(run.segment, { ...run, column })
    this.used += run.count
  }

  private reserve(columns: number): void {
    if (columns <= this.capacity && this.keys.length > 0) return
    const { layers, kvHeads, headDim } = this.shape
    const old = this.capacity
    this.version++
    this.capacity = Math.ceil(columns / columnStep) * columnStep
    const grow = (from: Float32Array | undefined): Float32Array => {
      const to = new Float32Array(kvHeads * this.capacity * headDim)
      if (!from) return to
      for (let head = 0; head < kvHeads; head++) {
        const start = head * old * headDim
        to.set(from.subarray(start, start + this.used * headDim), head * this.capacity * headDim)
      }
      return to
    }
    this.keys = Array.from({ length: layers }, (_, layer) => grow(this.keys[layer]))
    this.values = Array.from({ length: layers }, (_, layer) => grow(this.values[layer]))
  }
}
