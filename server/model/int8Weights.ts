/**
 * The matrices of a Q4_1 bundle as a processor multiplies them fastest: signed 7 bits with one scale for each column of
 * the product, the first factors of the adapter as more columns of the same matrix. Made when a session is opened, from
 * the files as they are; what is on disk stays as it was published.
 *
 * 7 bits: pairs of products of 8 and 8 bits overflow the 16-bit sums of processors without VNNI. The step is 1/63 of the
 * largest weight of a column; what it rounds off is a twentieth of what 4 bits rounded off before.
 */
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fromHalf, fromHalves } from './float16.ts'
import { blockSize, groupSize, linearGroups, type ModelShape } from './graph.ts'
import type { BundleLayout } from './layout.ts'
import type { StoredTensor } from './onnxProto.ts'
import { readExactly } from './readExactly.ts'

/** Where the weights lie that are made at opening; a name that no file of a bundle has. */
export const int8File = 'int8'

const alignment = 64 // bytes
const largest = 63

/** The tensors of the graph that multiplies in 8 bits: those of the bundle but for its matrices, and in their place `X.levels` `[columns, width]` and `X.level_scales` `[width]`. */
export function int8Tensors(shape: ModelShape, stored: BundleLayout['tensors']): Map<string, StoredTensor> {
  const tensors = new Map(stored)
  let offset = 0
  const put = (name: string, type: 'int8' | 'float32', dims: readonly number[], bytes: number): void => {
    tensors.set(name, { type, dims, file: int8File, offset, length: bytes })
    offset = Math.ceil((offset + bytes) / alignment) * alignment
  }
  for (let layer = 0; layer < shape.layers; layer++) {
    for (const { name } of linearGroups) {
      const { rows, columns } = groupSize(shape, name)
      const width = widthOf(shape, rows)
      const at = `layers.${layer}.${name}`
      for (const part of ['quants', 'scales', 'minimums']) tensors.delete(`${at}.${part}`)
      rows.forEach((_, part) => tensors.delete(`${at}.${part}.lora_A`))
      put(`${at}.levels`, 'int8', [columns, width], columns * width)
      put(`${at}.level_scales`, 'float32', [width], width * 4)
    }
  }
  return tensors
}

/** Rows of the matrix, then those of the adapter's first factors. */
function widthOf({ adapterRank }: ModelShape, rows: readonly number[]): number {
  return rows.reduce((sum, count) => sum + count + adapterRank, 0)
}

/**
 * The bytes of `int8File`.
 *
 * @param graphPath of the bundle's graph, in Q4_1; its data files lie beside it.
 * @throws {BundleError} when a file ends too early.
 */
export async function int8Weights(
  graphPath: string,
  shape: ModelShape,
  stored: BundleLayout['tensors'],
): Promise<Uint8Array<ArrayBuffer>> {
  const made = int8Tensors(shape, stored)
  const own = [...made.values()].filter(({ file }) => file === int8File)
  const bytes = new Uint8Array(Math.max(...own.map(({ offset, length }) => offset + length)))
  const files = new Map([...stored.values()].map(({ file }) => [file, join(dirname(graphPath), file)]))
  const handles = new Map(await Promise.all([...files].map(async ([file, path]) => [file, await open(path)] as const)))
  const read = async (name: string): Promise<Uint8Array<ArrayBuffer>> => {
    const { file, offset, length } = stored.get(name)!
    return readExactly(handles.get(file)!, files.get(file)!, offset, length)
  }
  const halves = async (name: string) => new Uint16Array((await read(name)).buffer)
  try {
    for (let layer = 0; layer < shape.layers; layer++) {
      for (const { name } of linearGroups) {
        const at = `layers.${layer}.${name}`
        const { rows, columns } = groupSize(shape, name)
        const matrix = new Int8Matrix(bytes, made.get(`${at}.levels`)!, made.get(`${at}.level_scales`)!)
        matrix.addBlocks(await read(`${at}.quants`), await halves(`${at}.scales`), await halves(`${at}.minimums`))
        for (let part = 0; shape.adapterRank > 0 && part < rows.length; part++)
          matrix.addRows(fromHalves(await halves(`${at}.${part}.lora_A`)), columns)
      }
    }
    return bytes
  } finally {
    for (const handle of handles.values()) await handle.close()
  }
}

const tileRows = 64

/** A matrix that is filled row by row, and lies transposed: moved 64 rows at a time, one by one every byte would be another line of memory. */
class Int8Matrix {
  private readonly levels: Int8Array
  private readonly tile: Int8Array // [tileRows, columns]
  private readonly scales: Float32Array
  private readonly columns: number
  private readonly width: number
  private filled = 0

  constructor(bytes: Uint8Array<ArrayBuffer>, levels: StoredTensor, scales: StoredTensor) {
    this.levels = new Int8Array(bytes.buffer, levels.offset, levels.length)
    this.scales = new Float32Array(bytes.buffer, scales.offset, scales.dims[0])
    this.columns = levels.dims[0]!
    this.width = levels.dims[1]!
    this.tile = new Int8Array(tileRows * this.columns)
  }

  /** Rows in blocks of 32, `scale · q + minimum` with q 0…15: each block has 16 levels at the most. */
  addBlocks(quants: Uint8Array, scales: Uint16Array, minimums: Uint16Array): void {
    const blocks = this.columns / blockSize
    const rowCount = scales.length / blocks
    const levelOf = new Int8Array(16)
    for (let r = 0; r < rowCount; r++) {
      let most = 0
      for (let block = r * blocks; block < (r + 1) * blocks; block++) {
        const low = fromHalf(minimums[block]!)
        most = Math.max(most, Math.abs(low), Math.abs(15 * fromHalf(scales[block]!) + low))
      }
      const scale = most / largest
      const perLevel = most === 0 ? 0 : largest / most
      const row = this.nextRow(scale)
      for (let block = 0; block < blocks; block++) {
        const at = r * blocks + block
        const [step, low] = [fromHalf(scales[at]!), fromHalf(minimums[at]!)]
        for (let q = 0; q < 16; q++) levelOf[q] = Math.round((step * q + low) * perLevel)
        for (let i = 0; i < blockSize / 2; i++) {
          const pair = quants[at * 16 + i]!
          row[block * blockSize + 2 * i] = levelOf[pair & 15]!
          row[block * blockSize + 2 * i + 1] = levelOf[pair >> 4]!
        }
      }
      this.flushFull()
    }
  }

  addRows(values: Float32Array, columns: number): void {
    for (let first = 0; first < values.length; first += columns) {
      let most = 0
      for (let i = first; i < first + columns; i++) most = Math.max(most, Math.abs(values[i]!))
      const perLevel = most === 0 ? 0 : largest / most
      const row = this.nextRow(most / largest)
      for (let i = 0; i < columns; i++) row[i] = Math.round(values[first + i]! * perLevel)
      this.flushFull()
    }
  }

  private nextRow(scale: number): Int8Array {
    this.scales[this.filled] = scale
    const at = this.filled++ % tileRows
    return this.tile.subarray(at * this.columns, (at + 1) * this.columns)
  }

  /** Once the tile, or the matrix, is full. */
  private flushFull(): void {
    const { levels, tile, width, columns, filled } = this
    const count = ((filled - 1) % tileRows) + 1
    if (count < tileRows && filled < width) return
    for (let column = 0; column < columns; column++) {
      const to = column * width + filled - count
      for (let row = 0; row < count; row++) levels[to + row] = tile[row * columns + column]!
    }
  }
}
