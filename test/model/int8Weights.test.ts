import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fromHalves, toHalves } from '../../server/model/float16.ts'
import { groupSize, linearGroups, type ModelShape } from '../../server/model/graph.ts'
import { int8File, int8Tensors, int8Weights } from '../../server/model/int8Weights.ts'
import { layoutBundle } from '../../server/model/layout.ts'
import type { StoredTensor } from '../../server/model/onnxProto.ts'
import { openBundle } from '../../server/model/openBundle.ts'
import { dequantizeQ4 } from '../../server/model/quantize.ts'
import { readSmoothing, type Smoothing } from '../../server/model/smoothing.ts'
import { randomBundle } from './randomBundle.ts'

let root: string
let graphPath: string
let shape: ModelShape
let stored: ReadonlyMap<string, StoredTensor>
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'lacuna-int8-'))
  const bundle = await openBundle((await randomBundle(root, {}, 7)).q4)
  graphPath = bundle.graphPath
  shape = bundle.int8!.shape
  stored = layoutBundle(shape, 'q4_1').tensors
})
afterAll(() => rm(root, { recursive: true, force: true }))

const bytesOf = (name: string): Uint8Array<ArrayBuffer> => {
  const { file, offset, length } = stored.get(name)!
  return new Uint8Array(readFileSync(join(dirname(graphPath), file)).subarray(offset, offset + length))
}
const halvesOf = (name: string) => new Uint16Array(bytesOf(name).buffer)

/** `[rows, columns]`, as the bundle has it. */
function storedMatrix(at: string): Float32Array {
  const blocks = { quants: bytesOf(`${at}.quants`), scales: halvesOf(`${at}.scales`) }
  return dequantizeQ4({ ...blocks, minimums: halvesOf(`${at}.minimums`) })
}

/** Factors between a half and two, none alike. */
const uneven: Smoothing = {
  into: (layer, group) =>
    Float32Array.from({ length: groupSize(shape, group).columns }, (_, i) =>
      group === 'o' ? 1 : 0.5 + (((i * 7 + layer) % 13) / 13) * 1.5,
    ),
}

describe.each([
  { largest: 127, smoothing: undefined },
  { largest: 63, smoothing: undefined },
  { largest: 127, smoothing: uneven },
] as const)('levels up to $largest, smoothing $smoothing', ({ largest, smoothing }) => {
  test('stand for the stored weights to half a level, transposed', async () => {
    const bytes = await int8Weights(graphPath, shape, stored, { largest, ...(smoothing ? { smoothing } : {}) })
    const made = int8Tensors(shape, stored)
    for (let layer = 0; layer < shape.layers; layer++) {
      for (const { name } of linearGroups) {
        const at = `layers.${layer}.${name}`
        const { rows, columns } = groupSize(shape, name)
        const into = smoothing?.into(layer, name)
        const outOf = name === 'gate_up' ? smoothing?.into(layer, 'down') : undefined
        const check = (matrix: string, weights: Float32Array, divided: (row: number) => number) => {
          const levels = made.get(`${at}.${matrix}levels`)!
          const scales = made.get(`${at}.${matrix}level_scales`)!
          const scaleOf = new Float32Array(bytes.buffer, scales.offset, scales.length / 4)
          const level = new Int8Array(bytes.buffer, levels.offset, levels.length)
          expect(levels.dims).toEqual([columns, weights.length / columns])
          for (let i = 0; i < weights.length; i++) {
            const [row, column] = [Math.floor(i / columns), i % columns]
            const found = level[column * (weights.length / columns) + row]!
            expect(Math.abs(found)).toBeLessThanOrEqual(largest)
            const wanted = (weights[i]! * (into?.[column] ?? 1)) / divided(row)
            expect(Math.abs(found * scaleOf[row]! - wanted), `${at}.${matrix} ${row} ${column}`).toBeLessThanOrEqual(
              scaleOf[row]! * 0.5001,
            )
          }
        }
        const firstPart = rows[0]!
        check('', storedMatrix(at), (row) => (outOf && row >= firstPart ? outOf[row - firstPart]! : 1))
        const factors = rows.map((_, part) => fromHalves(halvesOf(`${at}.${part}.lora_A`)))
        check('lora_', Float32Array.from(factors.flatMap((factor) => [...factor])), () => 1)
      }
    }
  })
})

test('what smoothing divides is multiplied again: norms, and what the adapter adds to the second part', async () => {
  const bytes = await int8Weights(graphPath, shape, stored, { largest: 127, smoothing: uneven })
  const made = int8Tensors(shape, stored)
  const floats = (name: string) => new Float32Array(bytes.buffer, made.get(name)!.offset, made.get(name)!.length / 4)
  const norm = new Float32Array(bytesOf('layers.1.post_attention_layernorm.weight').buffer)
  const into = uneven.into(1, 'gate_up')
  expect(floats('layers.1.post_attention_layernorm.weight')).toEqual(norm.map((weight, i) => weight / into[i]!))
  const added = fromHalves(halvesOf('layers.1.gate_up.1.lora_B'))
  const down = uneven.into(1, 'down')
  const wanted = added.map((value, i) => value / down[Math.floor(i / shape.adapterRank)]!)
  expect(floats('layers.1.gate_up.1.lora_B')).toEqual(wanted)
})

test('no tensor of the graph lies in a matrix as it was stored', () => {
  const made = int8Tensors(shape, stored)
  expect([...made.keys()].filter((name) => /layers\..*\.(quants|minimums)$/.test(name))).toEqual([])
  expect([...made.values()].some(({ file }) => file === int8File)).toBe(true)
  const { file } = stored.get('norm.weight')!
  expect([...made].filter(([, tensor]) => tensor.file === file)).toEqual([])
})

describe('smoothing.f16', () => {
  const size = () => (groupSize(shape, 'qkv').columns + groupSize(shape, 'gate_up').columns + shape.mlp) * shape.layers
  const read = async (factors: Float32Array) => {
    const path = join(root, 'smoothing.f16')
    await writeFile(path, new Uint8Array(toHalves(factors).buffer))
    return readSmoothing(path, shape)
  }

  test('says what goes into which product, by layer', async () => {
    const smoothing = await read(Float32Array.from({ length: size() }, (_, i) => 1 + i))
    const [qkv, gateUp] = [groupSize(shape, 'qkv').columns, groupSize(shape, 'gate_up').columns]
    const perLayer = qkv + gateUp + shape.mlp
    expect(smoothing.into(0, 'qkv')[0]).toBe(1)
    expect(smoothing.into(0, 'gate_up')[0]).toBe(1 + qkv)
    expect(smoothing.into(1, 'down')[1]).toBe(1 + perLayer + qkv + gateUp + 1)
    expect(smoothing.into(1, 'down')).toHaveLength(shape.mlp)
    expect(new Set(smoothing.into(1, 'o'))).toEqual(new Set([1]))
  })

  test('for another network is refused', async () => {
    await expect(read(new Float32Array(size() - 1).fill(1))).rejects.toThrow(/bytes, config\.json asks for/)
  })

  test('for a network with biases in gate and up is refused', async () => {
    await read(new Float32Array(size()).fill(1))
    const biased = { ...shape, biases: ['gate_up' as const] }
    await expect(readSmoothing(join(root, 'smoothing.f16'), biased)).rejects.toThrow(/have biases/)
  })

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('with a factor of %s is refused', async (factor) => {
    const factors = new Float32Array(size()).fill(1)
    factors[3] = factor
    await expect(read(factors)).rejects.toThrow(/factor 3 is/)
  })
})
