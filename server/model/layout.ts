/**
 * Where each weight of a bundle lies: a pure function of shape and storage, so that whoever writes, reads back or
 * rebuilds a bundle agrees without parsing ONNX.
 */
import { blockSize, groupSize, linearGroups, type ModelShape } from './graph.ts'
import type { ElementType, StoredTensor } from './onnxProto.ts'

/**
 * How linears are stored: `q4_1` is for weights that were published in such blocks, exactly; `q4` for all others. With
 * blocks, embedding and head have 8 bits, and an adapter is float16.
 */
export type Storage = 'q4_1' | 'q4' | 'q8' | 'f32'

export interface BundleLayout {
  readonly graphFile: string // in `onnx/`
  readonly tensors: ReadonlyMap<string, StoredTensor> // in the order they lie in their files, one file after the other
  readonly files: readonly { readonly name: string; readonly bytes: number }[] // in `onnx/`
}

const alignment = 64 // bytes

/**
 * Three data files, none of which grows past 95 MB for the default model: linears and norms, embedding and head, and what a
 * model has beyond its network: rows of further ids, an adapter. Without any of these there are two.
 */
export function layoutBundle(shape: ModelShape, storage: Storage): BundleLayout {
  const graphFile = graphFiles[storage]
  const tensors = new Map<string, StoredTensor>()
  const files: { name: string; bytes: number }[] = []
  let offset = 0
  const openFile = (): void => {
    files.push({ name: `${graphFile}_data${files.length ? `_${files.length}` : ''}`, bytes: 0 })
    offset = 0
  }
  const put = (name: string, type: ElementType, dims: readonly number[]): void => {
    const length = dims.reduce((product, dim) => product * dim, elementBytes[type])
    const file = files.at(-1)!
    offset = Math.ceil(offset / alignment) * alignment
    tensors.set(name, { type, dims, file: file.name, offset, length })
    offset += length
    file.bytes = offset
  }

  const { layers, width, headDim, vocab, extraIds, extraHeadRows, adapterRank } = shape
  const { queryKeyNorm, biases, tiedHead } = shape
  const half = storage === 'f32' ? 'float32' : 'float16'
  const blocks = (name: string, bits: 4 | 8, rowCount: number, columns: number): void => {
    put(`${name}.quants`, 'uint8', [rowCount, columns / blockSize, (blockSize * bits) / 8])
    put(`${name}.scales`, 'float16', [rowCount, columns / blockSize])
  }
  openFile()
  for (let layer = 0; layer < layers; layer++) {
    const at = `layers.${layer}`
    put(`${at}.input_layernorm.weight`, 'float32', [width])
    put(`${at}.post_attention_layernorm.weight`, 'float32', [width])
    if (queryKeyNorm) {
      put(`${at}.query_norm.weight`, 'float32', [headDim])
      put(`${at}.key_norm.weight`, 'float32', [headDim])
    }
    for (const { name } of linearGroups) {
      const { rows, columns } = groupSize(shape, name)
      const rowCount = rows.reduce((sum, count) => sum + count, 0)
      if (biases.includes(name)) put(`${at}.${name}.bias`, 'float32', [rowCount])
      if (storage === 'f32') put(`${at}.${name}.weight`, 'float32', [rowCount, columns])
      else blocks(`${at}.${name}`, storage === 'q8' ? 8 : 4, rowCount, columns)
      if (storage === 'q4_1') put(`${at}.${name}.minimums`, 'float16', [rowCount, columns / blockSize])
      if (storage === 'q4') put(`${at}.${name}.zeros`, 'uint8', [rowCount, Math.ceil(columns / blockSize / 2)])
    }
  }
  put('norm.weight', 'float32', [width])

  openFile()
  for (const name of tiedHead ? ['embedding'] : ['embedding', 'head']) {
    if (storage === 'f32') put(`${name}.weight`, 'float32', [vocab, width])
    else blocks(name, 8, vocab, width)
  }

  if (!extraIds && !adapterRank) return { graphFile, tensors, files }
  openFile()
  if (extraIds) put('embedding.extra', half, [extraIds, width])
  if (extraHeadRows) put('head.extra', half, [extraHeadRows, width])
  for (let layer = 0; adapterRank && layer < layers; layer++) {
    for (const { name } of linearGroups) {
      const { rows, columns } = groupSize(shape, name)
      rows.forEach((rowCount, part) => {
        put(`layers.${layer}.${name}.${part}.lora_A`, half, [adapterRank, columns])
        put(`layers.${layer}.${name}.${part}.lora_B`, half, [rowCount, adapterRank])
      })
    }
  }
  return { graphFile, tensors, files }
}

const graphFiles: Record<Storage, string> = {
  q4_1: 'model_q4.onnx',
  q4: 'model_q4.onnx',
  q8: 'model_quantized.onnx',
  f32: 'model.onnx',
}

const elementBytes: Record<ElementType, number> = {
  float32: 4,
  float16: 2,
  uint8: 1,
  int8: 1,
  int32: 4,
  int64: 8,
  bool: 1,
}
