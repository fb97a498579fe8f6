/**
 * Weights on their way from safetensors into a bundle, some rows at a time, so that memory does not depend on the model.
 * Knows the tensor names of both sides and which becomes which; that they are there, `checkSources.ts` has made sure.
 */
import { BundleError } from '../base/errors.ts'
import { toHalves } from './float16.ts'
import { blockSize, linearGroups, type ModelShape } from './graph.ts'
import type { Storage } from './layout.ts'
import type { Naming } from './modelConfig.ts'
import { quantizeQ4, quantizeQ8 } from './quantize.ts'
import { quantizeZeroPoints } from './quantizeZeroPoints.ts'
import type { Safetensors } from './safetensors.ts'
import { normNames, tensorNames } from './tensorNames.ts'
import { addTally, noTally, type Tally, type Unit, type WriteTensor } from './units.ts'

export interface Sources {
  readonly weights: Safetensors
  readonly adapter: Safetensors | undefined
  readonly shape: ModelShape
  readonly storage: Storage
  readonly naming: Naming
}

const valuesAtOnce = 2 * 1024 * 1024

/** All units of a bundle, in the order of `layoutBundle`. */
export function sourceUnits(sources: Sources): Unit[] {
  const { weights, shape, storage, naming } = sources
  const names = tensorNames(naming)
  const units: Unit[] = []
  const small = (to: string, from: string) => units.push(wholeUnit(weights, to, from, (values) => values))
  for (let layer = 0; layer < shape.layers; layer++) {
    const { prefix, norms, groups } = names.layer(layer)
    const at = `layers.${layer}`
    for (const norm of normNames(shape)) small(`${at}.${norm}.weight`, `${prefix}.${norms[norm]}`)
    for (const { name } of linearGroups) {
      const parts = groups[name].map((part) => `${prefix}.${part}`)
      if (shape.biases.includes(name)) units.push(biasUnit(weights, `${at}.${name}.bias`, parts))
      const matrices = parts.map((part) => `${part}.weight`)
      units.push(matrixUnit(sources, `${at}.${name}`, matrices, storage))
    }
  }
  small('norm.weight', names.norm)
  const wide = storage === 'f32' ? 'f32' : 'q8'
  units.push(matrixUnit(sources, 'embedding', [names.embedding], wide))
  if (!shape.tiedHead) units.push(matrixUnit(sources, 'head', [names.head], wide))
  return [...units, ...adapterUnits(sources)]
}

function wholeUnit(
  from: Safetensors,
  to: string,
  name: string,
  convert: (values: Float32Array) => Float32Array | Uint16Array,
): Unit {
  return {
    name: to,
    tensors: [to],
    async fill(write) {
      const values = await from.read(name)
      checkFinite(values, name)
      await write(to, convert(values))
      return noTally
    },
  }
}

/** Biases of a group, one after the other. */
function biasUnit(weights: Safetensors, to: string, parts: readonly string[]): Unit {
  return {
    name: to,
    tensors: [to],
    async fill(write) {
      let at = 0
      for (const part of parts) {
        const values = await weights.read(`${part}.bias`)
        checkFinite(values, `${part}.bias`)
        await write(to, values, at)
        at += values.byteLength
      }
      return noTally
    },
  }
}

/** Matrices of the same width, one below the other. */
function matrixUnit({ weights }: Sources, to: string, names: readonly string[], storage: Storage): Unit {
  return {
    name: to,
    tensors: partsOf(storage).map((part) => `${to}.${part}`),
    async fill(write) {
      let tally = noTally
      let firstRow = 0
      for (const name of names) {
        const [rows, columns] = weights.tensors.get(name)!.dims as [number, number]
        const rowsAtOnce = Math.max(1, Math.floor(valuesAtOnce / columns))
        for (let row = 0; row < rows; row += rowsAtOnce) {
          const count = Math.min(rowsAtOnce, rows - row)
          const values = await weights.read(name, row * columns, count * columns)
          if (storage === 'f32') checkFinite(values, name, row * columns)
          const block = { to, firstRow: firstRow + row, columns, values }
          const where = `tensor ${name}, rows from ${row} on`
          tally = addTally(tally, await named(where, () => writeRows(write, block, storage)))
        }
        firstRow += rows
      }
      return tally
    },
  }
}

/** What a matrix is stored as, by the endings of its tensors' names. */
function partsOf(storage: Storage): readonly string[] {
  switch (storage) {
    case 'f32':
      return ['weight']
    case 'q8':
      return ['quants', 'scales']
    case 'q4':
      return ['quants', 'scales', 'zeros']
    case 'q4_1':
      return ['quants', 'scales', 'minimums']
  }
}

interface Rows {
  readonly to: string
  readonly firstRow: number
  readonly columns: number
  readonly values: Float32Array
}

async function writeRows(write: WriteTensor, rows: Rows, storage: Storage): Promise<Tally> {
  const { to, firstRow, columns, values } = rows
  const blocks = columns / blockSize // of a row
  const put = (part: string, data: Uint8Array | Uint16Array | Float32Array, rowBytes: number) =>
    write(`${to}.${part}`, data, firstRow * rowBytes)
  switch (storage) {
    case 'f32': {
      await put('weight', values, columns * 4)
      return noTally
    }
    case 'q8': {
      const made = quantizeQ8(values)
      await put('quants', made.quants, columns)
      await put('scales', made.scales, blocks * 2)
      return tallyOf(values, made)
    }
    case 'q4': {
      const made = quantizeZeroPoints(values, columns)
      await put('quants', made.quants, columns / 2)
      await put('scales', made.scales, blocks * 2)
      await put('zeros', made.zeros, Math.ceil(blocks / 2))
      return tallyOf(values, made)
    }
    case 'q4_1': {
      const made = quantizeQ4(values)
      await put('quants', made.quants, columns / 2)
      await put('scales', made.scales, blocks * 2)
      await put('minimums', made.minimums, blocks * 2)
      return tallyOf(values, made)
    }
  }
}

function tallyOf(
  values: Float32Array,
  { exactBlocks, squaredError }: { exactBlocks: number; squaredError: number },
): Tally {
  let squaredSum = 0
  for (let i = 0; i < values.length; i++) squaredSum += values[i]! * values[i]!
  return { blocks: values.length / blockSize, exactBlocks, squaredError, squaredSum }
}

function adapterUnits({ adapter, shape, storage }: Sources): Unit[] {
  if (!adapter) return []
  const units: Unit[] = []
  const small = (to: string, from: string) =>
    units.push(wholeUnit(adapter, to, from, (values) => (storage === 'f32' ? values : halvesOf(values, from))))
  const { layers, extraIds, extraHeadRows, adapterRank } = shape
  if (extraIds) small('embedding.extra', 'model.embed_tokens.extra.weight')
  if (extraHeadRows) small('head.extra', 'lm_head.extra.weight')
  for (let layer = 0; adapterRank && layer < layers; layer++) {
    for (const { name, parts } of linearGroups) {
      for (const [i, part] of parts.entries()) {
        for (const factor of ['lora_A', 'lora_B'])
          small(`layers.${layer}.${name}.${i}.${factor}`, `model.layers.${layer}.${part}.${factor}.weight`)
      }
    }
  }
  return units
}

function halvesOf(values: Float32Array, name: string): Uint16Array {
  const halves = toHalves(values)
  if (halves.some((half) => (half & 0x7c00) === 0x7c00))
    throw new BundleError(`tensor ${name} does not fit into half precision; use --quant f32`)
  return halves
}

/** @param first which value of the tensor the first one is. */
function checkFinite(values: Float32Array, name: string, first = 0): void {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) throw new BundleError(`tensor ${name}: value ${first + i} is ${values[i]}`)
  }
}

async function named<T>(where: string, make: () => Promise<T>): Promise<T> {
  try {
    return await make()
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new BundleError(`${where}: ${error.message}`, { cause: error })
  }
}
