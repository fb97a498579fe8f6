/**
 * The matrices of a Q4_1 bundle as a processor multiplies them fastest: signed 8 bits with one scale for each row; so are
 * the first factors of the adapter. Made when a session is opened, from the files as they are; what is on disk stays as it
 * was published.
 *
 * Activations get 8 bits with one scale for each row, so channels that are much larger than the others would take the bits
 * of all. With `smoothing` they are divided by a factor of their own, and the weights that meet them multiplied by it: the
 * network says the same, and rounding costs half as much.
 *
 * Source: SmoothQuant (arXiv 2211.10438), per-token activations.
 */
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fromHalf, fromHalves } from './float16.ts'
import { blockSize, groupSize, type LinearGroup, linearGroups, type ModelShape } from './graph.ts'
import type { BundleLayout } from './layout.ts'
import type { StoredTensor } from './onnxProto.ts'
import { readExactly } from './readExactly.ts'
import { noSmoothing, type Smoothing } from './smoothing.ts'

/** Where the weights lie that are made at opening; a name that no file of a bundle has. */
export const int8File = 'int8'

/** What a session that multiplies in 8 bits is made from, beside the files of the graph. */
export interface Int8Source {
  readonly shape: ModelShape
  readonly smoothingPath?: string
}

const alignment = 64 // bytes
const normOf = { qkv: 'input_layernorm', gate_up: 'post_attention_layernorm' } as const

/**
 * The tensors of the graph that multiplies in 8 bits: those of the bundle, and in the place of its matrices `X.levels`
 * `[columns, rows]` and `X.level_scales` `[rows]`, of the adapter's first factors `X.lora_levels` and so on; what smoothing
 * changes besides is made anew too. What else lies in the file of the matrices is taken over, so that it need not be loaded.
 */
export function int8Tensors(shape: ModelShape, stored: BundleLayout['tensors']): Map<string, StoredTensor> {
  const tensors = new Map(stored)
  let offset = 0
  const put = (name: string, type: 'int8' | 'float32', dims: readonly number[]): void => {
    const bytes = dims.reduce((product, dim) => product * dim, type === 'int8' ? 1 : 4)
    tensors.set(name, { type, dims, file: int8File, offset, length: bytes })
    offset = Math.ceil((offset + bytes) / alignment) * alignment
  }
  for (let layer = 0; layer < shape.layers; layer++) {
    for (const { name } of linearGroups) {
      const { rows, columns } = groupSize(shape, name)
      const width = rows.reduce((sum, count) => sum + count, 0)
      const at = `layers.${layer}.${name}`
      for (const part of ['quants', 'scales', 'minimums']) tensors.delete(`${at}.${part}`)
      for (const part of rows.keys()) tensors.delete(`${at}.${part}.lora_A`)
      put(`${at}.levels`, 'int8', [columns, width])
      put(`${at}.level_scales`, 'float32', [width])
      const ranks = rows.length * shape.adapterRank
      if (ranks === 0) continue
      put(`${at}.lora_levels`, 'int8', [columns, ranks])
      put(`${at}.lora_level_scales`, 'float32', [ranks])
    }
    for (const norm of Object.values(normOf)) put(`layers.${layer}.${norm}.weight`, 'float32', [shape.width])
    if (shape.adapterRank > 0) put(`layers.${layer}.gate_up.1.lora_B`, 'float32', [shape.mlp, shape.adapterRank])
  }
  for (const name of besideMatrices(stored)) {
    if (tensors.get(name)?.file === stored.get(name)!.file) put(name, 'float32', stored.get(name)!.dims)
  }
  return tensors
}

/** Norms and biases: float32, in the file of the matrices. */
function besideMatrices(stored: BundleLayout['tensors']): string[] {
  const { file } = stored.get('norm.weight')!
  return [...stored].flatMap(([name, tensor]) => (tensor.file === file && tensor.type === 'float32' ? [name] : []))
}

export interface Int8Options {
  /** Levels go from −largest to largest: 127, or 63 where a processor adds pairs of products in 16 bits. */
  readonly largest: 63 | 127
  readonly smoothing?: Smoothing
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
  { largest, smoothing = noSmoothing(shape) }: Int8Options,
): Promise<Uint8Array<ArrayBuffer>> {
  const made = int8Tensors(shape, stored)
  const own = [...made.values()].filter(({ file }) => file === int8File)
  const bytes = new Uint8Array(Math.max(...own.map(({ offset, length }) => offset + length)))
  const floatsAt = (name: string): Float32Array => {
    const { offset, length } = made.get(name)!
    return new Float32Array(bytes.buffer, offset, length / 4)
  }
  const files = new Map([...stored.values()].map(({ file }) => [file, join(dirname(graphPath), file)]))
  const handles = new Map(await Promise.all([...files].map(async ([file, path]) => [file, await open(path)] as const)))
  const read = async (name: string): Promise<Uint8Array<ArrayBuffer>> => {
    const { file, offset, length } = stored.get(name)!
    return readExactly(handles.get(file)!, files.get(file)!, offset, length)
  }
  const halves = async (name: string) => new Uint16Array((await read(name)).buffer)
  try {
    for (const name of besideMatrices(stored)) bytes.set(await read(name), made.get(name)!.offset)
    for (let layer = 0; layer < shape.layers; layer++) {
      for (const { name } of linearGroups) {
        const at = `layers.${layer}.${name}`
        const { rows, columns } = groupSize(shape, name)
        const into = smoothing.into(layer, name)
        // What is divided by a factor before the last product of the block comes out of its second part.
        const outOf = name === 'gate_up' ? smoothing.into(layer, 'down') : undefined
        const matrixAt = (matrix: string): Int8Matrix => {
          const { offset, length } = made.get(`${at}.${matrix}levels`)!
          const levels = new Int8Array(bytes.buffer, offset, length)
          return new Int8Matrix(levels, floatsAt(`${at}.${matrix}level_scales`), into, largest)
        }
        const blocks = { quants: await read(`${at}.quants`), scales: await halves(`${at}.scales`) }
        matrixAt('').addBlocks(
          { ...blocks, minimums: await halves(`${at}.minimums`) },
          outOf && { from: rows[0]!, by: outOf },
        )
        const adapter = shape.adapterRank > 0 ? matrixAt('lora_') : undefined
        for (let part = 0; adapter && part < rows.length; part++)
          adapter.addRows(fromHalves(await halves(`${at}.${part}.lora_A`)), columns)
        if (outOf && shape.adapterRank > 0) {
          const factors = fromHalves(await halves(`${at}.1.lora_B`))
          floatsAt(`${at}.1.lora_B`).set(factors.map((value, i) => value / outOf[Math.floor(i / shape.adapterRank)]!))
        }
        const norm = (normOf as Partial<Record<LinearGroup, string>>)[name]
        if (norm) {
          const weights = floatsAt(`layers.${layer}.${norm}.weight`) // as stored, until now
          weights.set(weights.map((weight, i) => weight / into[i]!))
        }
      }
    }
    return bytes
  } finally {
    for (const handle of handles.values()) await handle.close()
  }
}

const tileRows = 64

/** Filled row by row; lies transposed, which is done 64 rows at a time: one by one every byte would be another line of memory. */
class Int8Matrix {
  private readonly levels: Int8Array // [columns, width]
  private readonly scales: Float32Array // [width]
  private readonly factors: Float32Array // [columns]
  private readonly largest: number
  private readonly tile: Int8Array // [tileRows, columns]
  private readonly row: Float32Array
  private filled = 0

  /** @param factors `[columns]` that every row is multiplied by. */
  constructor(levels: Int8Array, scales: Float32Array, factors: Float32Array, largest: number) {
    this.levels = levels
    this.scales = scales
    this.factors = factors
    this.largest = largest
    this.tile = new Int8Array(tileRows * factors.length)
    this.row = new Float32Array(factors.length)
  }

  /**
   * Rows in blocks of 32, `scale · q + minimum` with q 0…15.
   *
   * @param outOf what rows from `from` on are divided by, each.
   */
  addBlocks(
    { quants, scales, minimums }: { quants: Uint8Array; scales: Uint16Array; minimums: Uint16Array },
    outOf: { readonly from: number; readonly by: Float32Array } | undefined,
  ): void {
    const { row, factors } = this
    const blocks = row.length / blockSize
    for (let r = 0; r < scales.length / blocks; r++) {
      for (let block = 0; block < blocks; block++) {
        const at = r * blocks + block
        const [step, low] = [fromHalf(scales[at]!), fromHalf(minimums[at]!)]
        for (let i = 0, to = block * blockSize; i < blockSize / 2; i++, to += 2) {
          const pair = quants[at * 16 + i]!
          row[to] = (step * (pair & 15) + low) * factors[to]!
          row[to + 1] = (step * (pair >> 4) + low) * factors[to + 1]!
        }
      }
      this.put(outOf && r >= outOf.from ? 1 / outOf.by[r - outOf.from]! : 1)
    }
  }

  addRows(values: Float32Array, columns: number): void {
    for (let first = 0; first < values.length; first += columns) {
      for (let i = 0; i < columns; i++) this.row[i] = values[first + i]! * this.factors[i]!
      this.put(1)
    }
  }

  private put(outScale: number): void {
    const { row, tile, largest, levels, scales } = this
    const [columns, width] = [row.length, scales.length]
    let most = 0
    for (let i = 0; i < columns; i++) {
      const size = Math.abs(row[i]!)
      if (size > most) most = size
    }
    const perLevel = most === 0 ? 0 : largest / most
    const count = (this.filled % tileRows) + 1
    const first = (count - 1) * columns
    for (let i = 0; i < columns; i++) tile[first + i] = ((row[i]! * perLevel + 128.5) | 0) - 128
    scales[this.filled++] = (most / largest) * outScale
    if (count < tileRows && this.filled < width) return
    for (let column = 0; column < columns; column++) {
      const to = column * width + this.filled - count
      for (let r = 0; r < count; r++) levels[to + r] = tile[r * columns + column]!
    }
  }
}
