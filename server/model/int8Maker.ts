/**
 * The graph that makes the matrices of `int8Weights`: a matrix in Q4_1 goes in, signed 8 bits with one scale for each row
 * come out; with an adapter a second time, of the sum W + B·A. ONNX Runtime does in a second what loops here would take
 * several for.
 *
 * Knows one matrix; nothing of layers, files and smoothing.
 */
import { blockSize } from './graph.ts'
import { GraphBuilder } from './onnxProto.ts'

/** A matrix `[rows, columns]` in blocks of 32, `scale · q + minimum` with q 0…15; scales and minimums are halves. */
export interface StoredMatrix {
  readonly rows: number
  readonly columns: number
  readonly quants: Uint8Array // [rows, columns / 2]
  readonly scales: Uint16Array // [rows, columns / 32]
  readonly minimums: Uint16Array // [rows, columns / 32]
  readonly factors: Float32Array // [columns] that every row is multiplied by
  readonly adapter?: LowRank
}

/** B·A, to be added to a matrix; halves. */
export interface LowRank {
  readonly rank: number
  readonly a: Uint16Array // [rank, columns]
  readonly b: Uint16Array // [rows, rank]
}

export interface Int8Matrix {
  readonly levels: Int8Array // [columns, rows]: as the product reads it
  readonly scales: Float32Array // [rows]
}

/** Makes 8 bits of a matrix; with an adapter, of W and of W + B·A. */
export type MakeInt8 = (matrix: StoredMatrix) => Promise<{ readonly plain: Int8Matrix; readonly folded?: Int8Matrix }>

/** Levels go from −largest to largest: 127, or 63 where a processor adds pairs of products in 16 bits. */
export type LargestLevel = 63 | 127

/**
 * In: `quants`, `scales`, `minimums`, `factors`; with an adapter `a` and `b`. Out: `plain.levels`, `plain.scales`, and so of
 * `folded`.
 */
export function int8Maker(largest: LargestLevel, withAdapter: boolean): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder()
  const half = blockSize / 2
  const asFloat = (x: string): string => g.op('Cast', [x], { to: { int: 1 } })
  const byte = (value: number): string => g.op('Cast', [g.int64([value])], { to: { int: 2 } })
  const quants = g.input({ name: 'quants', type: 'uint8', dims: ['R', 'C/2'] })
  const scales = g.input({ name: 'scales', type: 'float16', dims: ['R', 'C/32'] })
  const minimums = g.input({ name: 'minimums', type: 'float16', dims: ['R', 'C/32'] })
  const factors = g.input({ name: 'factors', type: 'float32', dims: ['C'] })

  // A byte holds two neighbours. Until the end each block has its even columns first: whole runs are moved, not bytes.
  const evenFirst = (x: string, rows: number): string =>
    g.op('Flatten', [
      g.op('Transpose', [g.op('Reshape', [x, g.int64([rows, -1, half, 2])])], { perm: { ints: [0, 1, 3, 2] } }),
    ])
  const halfBlocks = g.op('Concat', [g.op('Shape', [scales]), g.int64([1, half])], { axis: { int: 0 } })
  const [even, odd] = [
    g.op('BitwiseAnd', [quants, byte(15)]),
    g.op('BitShift', [quants, byte(4)], { direction: { string: 'RIGHT' } }),
  ].map((nibbles) => g.op('Reshape', [asFloat(nibbles), halfBlocks])) as [string, string]
  const ofBlock = (x: string): string => g.op('Unsqueeze', [asFloat(x), g.int64([2, 3])])
  const levels = g.op('Concat', [even, odd], { axis: { int: 2 } }) // [R, C/32, 2, 16]
  const weights = g.op('Flatten', [g.op('Add', [g.op('Mul', [levels, ofBlock(scales)]), ofBlock(minimums)])])

  const count = g.op('Squeeze', [g.op('Shape', [factors])])
  const places = g.op('Range', [g.int64([0], true), count, g.int64([1], true)])
  const inPairs = g.op('Transpose', [g.op('Reshape', [places, g.int64([-1, 2, half])])], { perm: { ints: [0, 2, 1] } })
  const order = g.op('Reshape', [inPairs, g.int64([-1])]) // of each column, where it lies until then
  const rounded = (name: string, matrix: string): void => {
    const scaled = g.op('Mul', [matrix, evenFirst(factors, 1)])
    const most = g.op('ReduceMax', [g.op('Abs', [scaled]), g.int64([-1])], { keepdims: { int: 0 } })
    // Of a row of zeros too there is something to divide by.
    const scale = g.op('Max', [g.op('Mul', [most, g.float32([1 / largest])]), g.float32([1e-30])])
    const zeros = g.op('Cast', [g.op('Mul', [scale, g.float32([0])])], { to: { int: 3 } })
    const whole = g.op('QuantizeLinear', [scaled, scale, zeros], { axis: { int: 0 } })
    const transposed = g.op('Gather', [g.op('Transpose', [whole], { perm: { ints: [1, 0] } }), order])
    g.output({ name: `${name}.levels`, type: 'int8', dims: ['C', 'R'] }, transposed)
    g.output({ name: `${name}.scales`, type: 'float32', dims: ['R'] }, scale)
  }
  rounded('plain', weights)
  if (withAdapter) {
    const a = g.input({ name: 'a', type: 'float16', dims: ['K', 'C'] })
    const b = g.input({ name: 'b', type: 'float16', dims: ['R', 'K'] })
    rounded('folded', g.op('Gemm', [asFloat(b), evenFirst(asFloat(a), 0), weights]))
  }
  return g.finish('int8')
}
