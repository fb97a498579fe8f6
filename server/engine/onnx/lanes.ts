/**
 * Contexts that have nothing in common, one above the other as a pass over a batch takes them: per layer `[lanes, kvHeads,
 * capacity, headDim]`. Each lane is a buffer of its own, so what was copied stays for the next pass.
 */
import { type Columns, ContextBuffer, columnStep, type KeyValueShape, type Run, rowsIn } from './encodings.ts'

export interface HeldLanes extends Columns {
  /** Of each context. */
  readonly held: readonly { readonly lane: number; readonly buffer: ContextBuffer }[]
}

export class Lanes {
  private readonly shape: KeyValueShape
  private buffers: readonly ContextBuffer[] = []
  private stacked: Columns = { capacity: 0, keys: [], values: [] }

  constructor(shape: KeyValueShape) {
    this.shape = shape
  }

  /** @param contexts at least one. @returns the first lanes, as many as contexts, and which is whose. */
  hold(contexts: readonly (readonly Run[])[]): HeldLanes {
    // A lane may hold what is of no use any more, up to a step of columns.
    const wanted = Math.ceil(Math.max(...contexts.map(rowsIn)) / columnStep + 1) * columnStep
    const { capacity } = this.stacked
    if (contexts.length > this.buffers.length || wanted > capacity || 2 * wanted < capacity)
      this.make(Math.max(contexts.length, this.buffers.length), wanted)
    const held = this.assign(contexts).map((lane) => ({ lane, buffer: this.buffers[lane]! }))
    for (const [i, runs] of contexts.entries()) held[i]!.buffer.hold(runs)
    const first = (layers: readonly Float32Array[]) =>
      layers.map((layer) => layer.subarray(0, contexts.length * this.laneSize()))
    const { keys, values } = this.stacked
    return { held, capacity: this.stacked.capacity, keys: first(keys), values: first(values) }
  }

  /** To each context the lane that holds most of it, of the first ones that are not taken yet. */
  private assign(contexts: readonly (readonly Run[])[]): number[] {
    const pairs = contexts.flatMap((runs, context) =>
      contexts.map((_, lane) => ({ context, lane, overlap: this.buffers[lane]!.overlap(runs) })),
    )
    const assigned: number[] = []
    for (const { context, lane } of pairs.toSorted((a, b) => b.overlap - a.overlap))
      if (assigned[context] === undefined && !assigned.includes(lane)) assigned[context] = lane
    return assigned
  }

  private laneSize(): number {
    return this.shape.kvHeads * this.stacked.capacity * this.shape.headDim
  }

  /** Nothing of before is kept. */
  private make(count: number, capacity: number): void {
    const { layers, kvHeads, headDim } = this.shape
    const size = kvHeads * capacity * headDim
    const all = () => Array.from({ length: layers }, () => new Float32Array(count * size))
    const { keys, values } = (this.stacked = { capacity, keys: all(), values: all() })
    this.buffers = Array.from({ length: count }, (_, lane) => {
      const own = (layers: readonly Float32Array[]) =>
        layers.map((layer) => layer.subarray(lane * size, (lane + 1) * size))
      return new ContextBuffer(this.shape, { capacity, keys: own(keys), values: own(values) })
    })
  }
}
