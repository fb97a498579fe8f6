import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BundleError } from '../../server/base/errors.ts'
import { toHalves } from '../../server/model/float16.ts'
import { openSafetensors } from '../../server/model/safetensors.ts'
import { temporaryFolder } from './temporaryFolder.ts'
import { rawSafetensors, safetensorsBytes } from './writeSafetensors.ts'

async function folderWith(files: Record<string, string | Uint8Array>): Promise<string> {
  const dir = await temporaryFolder()
  for (const [name, content] of Object.entries(files)) await writeFile(join(dir, name), content)
  return dir
}

const numbers = Float32Array.of(1, -2, 0.5, 3)

test('float32, float16 and bfloat16 come back as float32', async () => {
  const bfloats = Uint16Array.from(new Uint32Array(numbers.buffer), (bits) => bits >>> 16)
  const bytes = safetensorsBytes(
    new Map([
      ['single', { type: 'F32', dims: [2, 2], data: numbers }],
      ['half', { type: 'F16', dims: [4], data: toHalves(numbers) }],
      ['brain', { type: 'BF16', dims: [4, 1], data: bfloats }],
      ['index', { type: 'I64', dims: [1], data: BigInt64Array.of(7n) }],
      ['empty', { type: 'F32', dims: [0, 3], data: new Float32Array(0) }],
    ]),
  )
  const file = await openSafetensors(await folderWith({ 'model.safetensors': bytes }), 'model')
  for (const name of ['single', 'half', 'brain']) expect(await file.read(name), name).toEqual(numbers)
  expect(file.tensors.get('single')!.dims).toEqual([2, 2])
  expect(await file.readRaw('index')).toEqual(Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0))
  expect(await file.read('empty')).toEqual(new Float32Array(0))
  await expect(file.read('index')).rejects.toThrow('tensor index is I64; weights are read from F32, F16 or BF16')
  await expect(file.read('absent')).rejects.toThrow('no tensor absent among the 5')
  await file.close()
})

describe('several files', () => {
  const shard = (name: string) =>
    safetensorsBytes(new Map([[name, { type: 'F32', dims: [4], data: numbers } as const]]))
  const index = (weight_map: unknown) => JSON.stringify({ metadata: {}, weight_map })

  test('tensors are found in the file that has them', async () => {
    const dir = await folderWith({
      'model-1.safetensors': shard('a'),
      'model-2.safetensors': shard('b'),
      'model.safetensors.index.json': index({ a: 'model-1.safetensors', b: 'model-2.safetensors' }),
    })
    const files = await openSafetensors(dir, 'model')
    expect(await files.read('b')).toEqual(numbers)
    await files.close()
  })

  test.each([
    ['a path', { a: '../model-1.safetensors' }, 'is no file of this folder'],
    [
      'a tensor that is not there',
      { a: 'model-1.safetensors', c: 'model-1.safetensors' },
      'tensor c is not in model-1.safetensors',
    ],
    ['a file that is not there', { a: 'model-9.safetensors' }, 'ENOENT'],
    [
      'the same tensor twice',
      { a: 'model-1.safetensors', b: 'model-3.safetensors' },
      'tensor a is in model-1.safetensors too',
    ],
    ['no map', undefined, 'it has no "weight_map"'],
  ])('an index with %s is refused', async (_, map, message) => {
    const dir = await folderWith({
      'model-1.safetensors': shard('a'),
      'model-3.safetensors': shard('a'),
      'model.safetensors.index.json': index(map),
    })
    await expect(openSafetensors(dir, 'model')).rejects.toThrow(message)
  })
})

describe('hostile files', () => {
  const tensor = (offsets: readonly number[], dims: unknown = [1], dtype = 'F32') => ({
    dtype,
    shape: dims,
    data_offsets: offsets,
  })
  const holding = (header: unknown) => rawSafetensors(JSON.stringify(header), new Uint8Array(8))
  const announcing = (length: bigint) => {
    const bytes = new Uint8Array(20)
    new DataView(bytes.buffer).setBigUint64(0, length, true)
    return bytes
  }
  const valid = safetensorsBytes(new Map([['a', { type: 'F32', dims: [4], data: numbers }]]))

  const cases: readonly (readonly [string, Uint8Array, string])[] = [
    ['too short for a length', Uint8Array.of(1, 2, 3), '3 bytes are too few'],
    ['a header longer than the file', announcing(1000n), 'a header of 1000 bytes is announced, the file has 20 bytes'],
    ['a header of 2^63 bytes', announcing(2n ** 63n), 'at most 100000000 are read'],
    ['no JSON', rawSafetensors('{"a":'), 'the header is no JSON'],
    ['no UTF-8', new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe]), 'the header is no JSON'],
    ['a list', rawSafetensors('[]'), 'the header is no JSON object'],
    ['an entry without offsets', rawSafetensors('{"a":{"dtype":"F32","shape":[1]}}'), 'tensor a: data_offsets'],
    ['an unknown type', holding({ a: tensor([0, 4], [1], 'Q4') }), 'unknown type "Q4"'],
    ['an inherited name as type', holding({ a: tensor([0, 4], [1], 'toString') }), 'unknown type "toString"'],
    ['offsets past the end', holding({ a: tensor([0, 16], [4]) }), 'tensor a ends at byte'],
    ['offsets the wrong way round', holding({ a: tensor([8, 4]) }), 'its offsets span -4'],
    ['negative offsets', holding({ a: tensor([-4, 0]) }), 'tensor a: data_offsets.0'],
    ['a shape that does not fit', holding({ a: tensor([0, 4], [2]) }), 'takes 8 bytes'],
    ['a shape that overflows', holding({ a: tensor([0, 4], [2 ** 40, 2 ** 40]) }), 'bytes, its offsets span 4'],
    ['a fractional shape', holding({ a: tensor([0, 4], [0.5]) }), 'tensor a: shape.0'],
    ['overlap', holding({ a: tensor([0, 4]), b: tensor([2, 6]), c: tensor([4, 8]) }), 'overlaps'],
    ['a hole', holding({ a: tensor([4, 8]) }), '4 bytes before tensor a belong to none'],
    ['bytes left over', holding({ a: tensor([0, 4]) }), 'the tensors end at byte'],
    ['cut short', valid.subarray(0, -1), 'tensor a ends at byte'],
  ]
  test.each(cases)('%s', async (_, bytes, message) => {
    const opened = openSafetensors(await folderWith({ 'model.safetensors': bytes }), 'model')
    await expect(opened).rejects.toThrow(message)
    await expect(opened).rejects.toBeInstanceOf(BundleError)
  })

  test('no file at all', async () => {
    await expect(openSafetensors(await temporaryFolder(), 'model')).rejects.toThrow('model.safetensors: ENOENT')
  })
})
