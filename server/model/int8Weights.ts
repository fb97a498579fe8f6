/**
 * The matrices of a Q4_1 bundle as a processor multiplies them fastest: signed 8 bits with one scale for each row. Made when
 * a session is opened, from the files as they are; what is on disk stays as it was published.
 *
 * An adapter is folded: there is a second set of matrices, W + B·A, for the rows that run with it, and no row pays for the
 * low-rank products. One graph serves both sets.
 *
 * Activations get 8 bits with one scale for each row, so channels that are much larger than the others would take the bits
 * of all. With `smoothing` they are divided by a factor of their own, and the weights that meet them multiplied by it: the
 * network says the same, and rounding costs half as much.
 *
 * Source: SmoothQuant (arXiv 2211.10438), per-token activations.
 */
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { groupSize, type LinearGroup, linearGroups, type ModelShape } from './graph.ts'
import type { Int8Matrix, LowRank, MakeInt8 } from './int8Maker.ts'
import type { BundleLayout } from './layout.ts'
import type { ElementType, StoredTensor } from './onnxProto.ts'
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

/** The network of either set: nothing is left of an adapter but the rows it adds to embedding and head. */
export function int8Shape(shape: ModelShape): ModelShape {
  return { ...shape, adapterRank: 0 }
}

/**
 * The tensors of the graph that multiplies in 8 bits: in the place of the bundle's matrices `X.levels` `[columns, rows]` and
 * `X.level_scales` `[rows]`. What else lies in their file, or in the adapter's, is taken over, so that neither need be loaded.
 */
export function int8Tensors(shape: ModelShape, stored: BundleLayout['tensors']): Map<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>()
  const embeddingFile = fileOfEmbedding(stored)
  let offset = 0
  const put = (name: string, type: ElementType, dims: readonly number[], bytes: number): void => {
    tensors.set(name, { type, dims, file: int8File, offset, length: bytes })
    offset = Math.ceil((offset + bytes) / alignment) * alignment
  }
  for (let layer = 0; layer < shape.layers; layer++) {
    for (const { name } of linearGroups) {
      const { rows, columns } = groupSize(shape, name)
      const width = rows.reduce((sum, count) => sum + count, 0)
      put(`layers.${layer}.${name}.levels`, 'int8', [columns, width], columns * width)
      put(`layers.${layer}.${name}.level_scales`, 'float32', [width], 4 * width)
    }
  }
  for (const [name, tensor] of stored) {
    if (tensor.file === embeddingFile) tensors.set(name, tensor)
    else if (!ofMatrix.test(name)) put(name, tensor.type, tensor.dims, tensor.length)
  }
  return tensors
}

const ofMatrix = /\.(quants|scales|minimums|lora_A|lora_B)$/

function fileOfEmbedding(stored: BundleLayout['tensors']): string {
  return stored.get('embedding.quants')!.file
}

/** The bytes of `int8File` for rows that run without the adapter, and for those that run with it, where there is one. */
export interface Int8Sets {
  readonly plain: Uint8Array<ArrayBuffer>
  readonly folded?: Uint8Array<ArrayBuffer>
}

/**
 * @param graphPath of the bundle's graph, in Q4_1; its data files lie beside it.
 * @throws {BundleError} when a file ends too early.
 */
export async function int8Weights(
  graphPath: string,
  shape: ModelShape,
  stored: BundleLayout['tensors'],
  make: MakeInt8,
  smoothing: Smoothing = noSmoothing(shape),
): Promise<Int8Sets> {
  const made = int8Tensors(shape, stored)
  const own = [...made].filter(([, { file }]) => file === int8File)
  const size = Math.max(...own.map(([, { offset, length }]) => offset + length))
  const plain = new Uint8Array(size)
  const folded = shape.adapterRank > 0 ? new Uint8Array(size) : undefined
  const sets = folded ? [plain, folded] : [plain]
  const fileNames = new Set(
    [...stored.values()].map(({ file }) => file).filter((file) => file !== fileOfEmbedding(stored)),
  )
  const files = new Map([...fileNames].map((file) => [file, join(dirname(graphPath), file)]))
  const handles = new Map(await Promise.all([...files].map(async ([file, path]) => [file, await open(path)] as const)))
  const read = async (name: string): Promise<Uint8Array<ArrayBuffer>> => {
    const { file, offset, length } = stored.get(name)!
    return readExactly(handles.get(file)!, files.get(file)!, offset, length)
  }
  const halves = async (name: string) => new Uint16Array((await read(name)).buffer)
  try {
    for (const [name] of own) {
      if (!stored.has(name)) continue
      const bytes = await read(name)
      for (const set of sets) set.set(bytes, made.get(name)!.offset)
    }
    for (let layer = 0; layer < shape.layers; layer++) {
      for (const { name } of linearGroups) {
        const at = `layers.${layer}.${name}`
        const { rows, columns } = groupSize(shape, name)
        const factors = smoothing.into(layer, name)
        const matrices = await make({
          rows: rows.reduce((sum, count) => sum + count, 0),
          columns,
          quants: await read(`${at}.quants`),
          scales: await halves(`${at}.scales`),
          minimums: await halves(`${at}.minimums`),
          factors,
          ...(folded ? { adapter: await lowRank(halves, at, shape, name) } : {}),
        })
        // What is divided by a factor before the last product of the block comes out of its second part.
        const outOf = name === 'gate_up' ? smoothing.into(layer, 'down') : undefined
        const norm = (normOf as Partial<Record<LinearGroup, string>>)[name]
        const keep = (set: Uint8Array<ArrayBuffer>, { levels, scales }: Int8Matrix): void => {
          const floats = (tensor: string): Float32Array => {
            const { offset, length } = made.get(tensor)!
            return new Float32Array(set.buffer, offset, length / 4)
          }
          set.set(new Uint8Array(levels.buffer, levels.byteOffset, levels.length), made.get(`${at}.levels`)!.offset)
          const first = rows[0]!
          floats(`${at}.level_scales`).set(
            outOf ? scales.map((scale, row) => (row < first ? scale : scale / outOf[row - first]!)) : scales,
          )
          if (!norm) return
          const weights = floats(`layers.${layer}.${norm}.weight`) // as stored, until now
          weights.set(weights.map((weight, i) => weight / factors[i]!))
        }
        keep(plain, matrices.plain)
        if (folded) keep(folded, matrices.folded!)
      }
    }
    return { plain, ...(folded ? { folded } : {}) }
  } finally {
    for (const handle of handles.values()) await handle.close()
  }
}

/** The adapter of all parts of a group: each part's rows of B are in columns of their own, and zeros in the others'. */
async function lowRank(
  halves: (name: string) => Promise<Uint16Array>,
  at: string,
  shape: ModelShape,
  group: LinearGroup,
): Promise<LowRank> {
  const { rows, columns } = groupSize(shape, group)
  const { adapterRank } = shape
  const rank = adapterRank * rows.length
  const a = new Uint16Array(rank * columns)
  const b = new Uint16Array(rows.reduce((sum, count) => sum + count, 0) * rank)
  let row = 0
  for (const [part, count] of rows.entries()) {
    a.set(await halves(`${at}.${part}.lora_A`), part * adapterRank * columns)
    const factor = await halves(`${at}.${part}.lora_B`)
    for (let i = 0; i < count; i++, row++)
      b.set(factor.subarray(i * adapterRank, (i + 1) * adapterRank), row * rank + part * adapterRank)
  }
  return { rank, a, b }
}
