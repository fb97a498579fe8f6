/** Work on the tensors of a bundle, in pieces that are done or not: what an interrupted conversion goes on from. */

export interface Progress {
  readonly doneBytes: number
  readonly totalBytes: number
}

type Data = Uint8Array | Uint16Array | Float32Array

/** Writes part of a tensor of the layout, from `firstByte` (default 0) on. */
export type WriteTensor = (name: string, data: Data, firstByte?: number) => Promise<void>

/** Some tensors that are made together. The journal remembers whole units, with what they counted. */
export interface Unit {
  readonly name: string
  readonly tensors: readonly string[]
  fill(write: WriteTensor): Promise<Tally>
}

/** Of the weights that went into blocks; zeros for float32. */
export interface Tally {
  readonly blocks: number
  readonly exactBlocks: number // recovered bit by bit
  readonly squaredError: number
  readonly squaredSum: number // of the weights
}

export const noTally: Tally = { blocks: 0, exactBlocks: 0, squaredError: 0, squaredSum: 0 }

export function addTally(a: Tally, b: Tally): Tally {
  return {
    blocks: a.blocks + b.blocks,
    exactBlocks: a.exactBlocks + b.exactBlocks,
    squaredError: a.squaredError + b.squaredError,
    squaredSum: a.squaredSum + b.squaredSum,
  }
}
