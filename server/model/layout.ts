/**
 * Where each weight of a bundle lies: a pure function of shape and storage, so that whoever writes, reads back or
 * rebuilds a bundle agrees without parsing ONNX.
 */
import { blockSize, groupSize, linearGroups, type ModelShape } from './graph.ts'
import type { ElementType, StoredTensor } from './onnxProto.ts'

/** How linears and embedding are stored; the other weights are float16 beside blocks and float32 in a float bundle. */
export type Storage = 'q4' | 'f32'

export interface BundleLayout {
  readonly graphFile: string // in `onnx/`
  readonly tensors: ReadonlyMap<string, StoredTensor> // in the order they lie in their files, one file after the other
  readonly files: readonly { readonly name: string; readonly bytes: number }[] // in `onnx/`
}

const alignment = 64 // bytes

/** Three data files, none of which grows past 95 MB for the default model: linears and norms, embedding, adapter. */
export function layoutBundle(shape: ModelShape, storage: Storage, tied: boolean): BundleLayout {
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

  const { layers, width, vocab, extraIds, extraHeadRows, adapterRank } = shape
  const half = storage === 'f32' ? 'float32' : 'float16'
  openFile()
  for (let layer = 0; layer < layers; layer++) {
    const at = `layers.${layer}`
    put(`${at}.input_layernorm.weight`, 'float32', [width])
    put(`${at}.post_attention_layernorm.weight`, 'float32', [width])
    for (const { name } of linearGroups) {
      const { rows, columns } = groupSize(shape, name)
      const rowCount = rows.reduce((sum, count) => sum + count, 0)
      if (storage === 'f32') put(`${at}.${name}.weight`, 'float32', [rowCount, columns])
      else {
        put(`${at}.${name}.quants`, 'uint8', [rowCount, columns / blockSize, blockSize / 2])
        put(`${at}.${name}.scales`, 'float16', [rowCount, columns / blockSize])
        put(`${at}.${name}.minimums`, 'float16', [rowCount, columns / blockSize])
      }
    }
  }
  put('norm.weight', 'float32', [width])

  openFile()
  if (storage === 'f32') put('embedding.weight', 'float32', [vocab, width])
  else {
    put('embedding.quants', 'uint8', [vocab, width / blockSize, blockSize])
    put('embedding.scales', 'float16', [vocab, width / blockSize])
  }
  if (!tied) put('head.weight', 'float32', [vocab, width])

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

const graphFiles: Record<Storage, string> = { q4: 'model_q4.onnx', f32: 'model.onnx' }

const elementBytes: Record<ElementType, number> = { float32: 4, float16: 2, uint8: 1, int64: 8, bool: 1 }
