import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openMaker } from '../../server/engine/onnx/int8Session.ts'
import { fromHalves, toHalves } from '../../server/model/float16.ts'
import { groupSize, linearGroups, type ModelShape } from '../../server/model/graph.ts'
import type { LargestLevel } from '../../server/model/int8Maker.ts'
import { type Int8Sets, int8File, int8Tensors, int8Weights } from '../../server/model/int8Weights.ts'
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

/** W + B·A, computed plainly: what rows that run with the adapter are multiplied by. */
function adaptedMatrix(at: string, rows: readonly number[], columns: number): Float32Array {
  const matrix = storedMatrix(at)
  const rank = shape.adapterRank
  let first = 0
  for (const [part, count] of rows.entries()) {
    const [a, b] = [fromHalves(halvesOf(`${at}.${part}.lora_A`)), fromHalves(halvesOf(`${at}.${part}.lora_B`))]
    for (let row = 0; row < count; row++) {
      for (let column = 0; column < columns; column++) {
        let added = 0
        for (let k = 0; k < rank; k++) added += b[row * rank + k]! * a[k * columns + column]!
        matrix[(first + row) * columns + column]! += added
      }
    }
    first += count
  }
  return matrix
}

/** The sets as the engine makes them. */
async function setsOf(largest: LargestLevel, smoothing?: Smoothing): Promise<Int8Sets> {
  const { make, release } = await openMaker(largest, shape.adapterRank > 0, 1)
  return int8Weights(graphPath, shape, stored, make, smoothing).finally(release)
}

describe.each([
  { largest: 127, smoothing: undefined },
  { largest: 63, smoothing: undefined },
  { largest: 127, smoothing: uneven },
] as const)('levels up to $largest, smoothing $smoothing', ({ largest, smoothing }) => {
  test('stand for the stored weights, and for these with the adapter added, to half a level, transposed', async () => {
    const { plain, folded } = await setsOf(largest, smoothing)
    const made = int8Tensors(shape, stored)
    for (let layer = 0; layer < shape.layers; layer++) {
      for (const { name } of linearGroups) {
        const at = `layers.${layer}.${name}`
        const { rows, columns } = groupSize(shape, name)
        const width = rows.reduce((sum, count) => sum + count, 0)
        const into = smoothing?.into(layer, name)
        const outOf = name === 'gate_up' ? smoothing?.into(layer, 'down') : undefined
        const [levels, scales] = [made.get(`${at}.levels`)!, made.get(`${at}.level_scales`)!]
        expect(levels.dims).toEqual([columns, width])
        const check = (set: Uint8Array<ArrayBuffer>, weights: Float32Array) => {
          const scaleOf = new Float32Array(set.buffer, scales.offset, width)
          const level = new Int8Array(set.buffer, levels.offset, levels.length)
          let furthest = 0 // in levels
          const most = new Int8Array(width)
          for (let i = 0; i < weights.length; i++) {
            const [row, column] = [Math.floor(i / columns), i % columns]
            const dividedBy = outOf && row >= rows[0]! ? outOf[row - rows[0]!]! : 1
            const wanted = (weights[i]! * (into?.[column] ?? 1)) / dividedBy
            const found = level[column * width + row]!
            furthest = Math.max(furthest, Math.abs(found - wanted / scaleOf[row]!))
            most[row] = Math.max(most[row]!, Math.abs(found))
          }
          expect(furthest, at).toBeLessThanOrEqual(0.5001)
          expect(new Set(most), at).toEqual(new Set([largest]))
        }
        check(plain, storedMatrix(at))
        check(folded!, adaptedMatrix(at, rows, columns))
      }
    }
  })
})

test('what smoothing divides is divided in the norms, of both sets', async () => {
  const { plain, folded } = await setsOf(127, uneven)
  const { offset, length } = int8Tensors(shape, stored).get('layers.1.post_attention_layernorm.weight')!
  const norm = new Float32Array(bytesOf('layers.1.post_attention_layernorm.weight').buffer)
  const into = uneven.into(1, 'gate_up')
  for (const set of [plain, folded!])
    expect(new Float32Array(set.buffer, offset, length / 4)).toEqual(norm.map((weight, i) => weight / into[i]!))
})

test('a row of zeros stays one', async () => {
  const { make, release } = await openMaker(127, false, 1)
  const matrix = { rows: 2, columns: 32, quants: new Uint8Array(32), scales: toHalves(Float32Array.of(1, 1)) }
  matrix.quants.fill(0x21, 16)
  const minimums = toHalves(Float32Array.of(0, -3))
  const { plain, folded } = await make({ ...matrix, minimums, factors: new Float32Array(32).fill(1) })
  await release()
  expect(folded).toBeUndefined()
  expect(Array.from({ length: 4 }, (_, i) => [plain.levels[2 * i], plain.levels[2 * i + 1]])).toEqual([
    [0, -127],
    [0, -64],
    [0, -127],
    [0, -64],
  ])
  expect(plain.scales[1]).toBeCloseTo(2 / 127, 6)
})

test('only embedding and head lie where they did; nothing is left of the adapter but its rows of these', async () => {
  const made = int8Tensors(shape, stored)
  const { file } = stored.get('embedding.quants')!
  expect([...new Set([...made.values()].map((tensor) => tensor.file))].toSorted()).toEqual([int8File, file].toSorted())
  expect([...made.keys()].filter((name) => /lora|layers\..*\.(quants|minimums)$/.test(name))).toEqual([])
  const { plain, folded } = await setsOf(127)
  for (const name of ['embedding.extra', 'head.extra', 'norm.weight']) {
    const { offset, length } = made.get(name)!
    for (const set of [plain, folded!]) expect(set.slice(offset, offset + length), name).toEqual(bytesOf(name))
  }
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
