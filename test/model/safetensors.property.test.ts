/** Any valid file comes back as it was written; any damage either changes nothing that is read or is a BundleError. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BundleError } from '../../server/base/errors.ts'
import { fromHalves } from '../../server/model/float16.ts'
import { openSafetensors, type Safetensors } from '../../server/model/safetensors.ts'
import type { TensorType } from '../../server/model/safetensorsHeader.ts'
import { temporaryFolder } from './temporaryFolder.ts'
import { rawSafetensors } from './writeSafetensors.ts'

const elementBytes = { F32: 4, F16: 2, BF16: 2, U8: 1, I64: 8, BOOL: 1, F8_E4M3: 1 } as const

interface Tensor {
  readonly name: string
  readonly type: keyof typeof elementBytes
  readonly dims: readonly number[]
  readonly data: Uint8Array
}

const tensor = fc
  .record({
    name: fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.constantFrom('__proto__', 'constructor', 'a.b', ''),
    ),
    type: fc.constantFrom(...(Object.keys(elementBytes) as (keyof typeof elementBytes)[])),
    dims: fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 4 }), // a 0 makes it empty, no dimension a scalar
  })
  .filter(({ name }) => name !== '__metadata__')
  .chain(({ name, type, dims }) => {
    const length = dims.reduce((product, dim) => product * dim, elementBytes[type])
    const data = fc.uint8Array({ minLength: length, maxLength: length })
    return fc.record({ name: fc.constant(name), type: fc.constant(type), dims: fc.constant(dims), data })
  })
const tensors = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 })
const metadata = fc.option(fc.dictionary(fc.string(), fc.string()), { nil: undefined })

/** Data in the order of `tensors`, names in the header in the order of `order`, padded by spaces as writers do. */
function fileOf(list: readonly Tensor[], about: Record<string, string> | undefined, padding: number, turned: boolean) {
  let end = 0
  const entries = list.map(({ name, type, dims, data }) => {
    const offsets = [end, (end += data.length)]
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype: type, shape: dims, data_offsets: offsets })}`
  })
  if (turned) entries.reverse()
  if (about) entries.push(`"__metadata__":${JSON.stringify(about)}`)
  return rawSafetensors(`{${entries.join()}}${' '.repeat(padding)}`, ...list.map(({ data }) => data))
}

/** What each bit pattern stands for, computed another way than the reader does. */
function numbersOf({ type, data }: Tensor): Float32Array | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  switch (type) {
    case 'F32':
      return Float32Array.from({ length: data.length / 4 }, (_, i) => view.getFloat32(4 * i, true))
    case 'F16':
      return fromHalves(Uint16Array.from({ length: data.length / 2 }, (_, i) => view.getUint16(2 * i, true)))
    case 'BF16': {
      const wide = new DataView(new ArrayBuffer(4))
      return Float32Array.from({ length: data.length / 2 }, (_, i) => {
        wide.setUint16(2, view.getUint16(2 * i, true), true)
        return wide.getFloat32(0, true)
      })
    }
    default:
      return undefined
  }
}

interface Content {
  readonly type: TensorType
  readonly dims: readonly number[]
  readonly bytes: Uint8Array
}

async function contentOf(opened: Safetensors): Promise<Map<string, Content>> {
  const content = new Map<string, Content>()
  for (const [name, { type, dims }] of opened.tensors)
    content.set(name, { type, dims, bytes: await opened.readRaw(name) })
  return content
}

test('a valid file comes back whole and in parts', async () => {
  const dir = await temporaryFolder()
  const path = join(dir, 'model.safetensors')
  const part = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }))
  await fc.assert(
    fc.asyncProperty(tensors, metadata, fc.nat(9), fc.boolean(), part, async (list, about, padding, turned, [a, b]) => {
      await writeFile(path, fileOf(list, about, padding, turned))
      const opened = await openSafetensors(dir, 'model')
      try {
        const wanted = new Map(list.map(({ name, type, dims, data }) => [name, { type, dims, bytes: data }]))
        expect(await contentOf(opened)).toEqual(wanted)
        for (const one of list) {
          const numbers = numbersOf(one)
          if (!numbers) {
            await expect(opened.read(one.name)).rejects.toBeInstanceOf(BundleError)
            continue
          }
          expect(await opened.read(one.name)).toEqual(numbers)
          const first = Math.round(a * numbers.length)
          const count = Math.round(b * (numbers.length - first))
          expect(await opened.read(one.name, first, count)).toEqual(numbers.slice(first, first + count))
          expect(await opened.read(one.name, first)).toEqual(numbers.slice(first))
          for (const [from, many] of [
            [0, numbers.length + 1],
            [numbers.length + 1, 0],
            [-1, 1],
            [0.5, 1],
            [0, Number.NaN],
          ])
            await expect(opened.read(one.name, from, many)).rejects.toBeInstanceOf(RangeError)
        }
      } finally {
        await opened.close()
      }
    }),
    { numRuns: 150 },
  )
})

type Damage =
  | { readonly kind: 'flip'; readonly at: number; readonly bits: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'remove'; readonly at: number; readonly count: number }
  | { readonly kind: 'cut'; readonly at: number }

// The data is the smaller part of these files, and at the end.
const place = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0.8, max: 1, noNaN: true }))
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: place, bits: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant('insert' as const), at: place, bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }) }),
  fc.record({ kind: fc.constant('remove' as const), at: place, count: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ kind: fc.constant('cut' as const), at: place }),
)

function spoiled(file: Uint8Array, what: Damage): Uint8Array {
  const at = Math.floor(what.at * file.length)
  switch (what.kind) {
    case 'flip': {
      const copy = file.slice()
      if (at < copy.length) copy[at]! ^= what.bits
      return copy
    }
    case 'insert':
      return new Uint8Array(Buffer.concat([file.subarray(0, at), what.bytes, file.subarray(at)]))
    case 'remove':
      return new Uint8Array(Buffer.concat([file.subarray(0, at), file.subarray(at + what.count)]))
    case 'cut':
      return file.slice(0, at)
  }
}

/** The header alone decides which bytes are whose: with the same header, the same names must be found. */
function dataStart(file: Uint8Array): number {
  return 8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true))
}

test('a damaged file reads as its bytes say, or is refused with a BundleError, and costs no more than its size', async () => {
  const dir = await temporaryFolder()
  const path = join(dir, 'model.safetensors')
  const outcomes = { read: 0, refused: 0 }
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(tensor, { selector: ({ name }) => name, minLength: 1, maxLength: 4 }),
      damage,
      async (list, what) => {
        const file = fileOf(list, undefined, 0, false)
        const bytes = spoiled(file, what)
        await writeFile(path, bytes)
        const before = process.memoryUsage().arrayBuffers
        let opened: Safetensors
        try {
          opened = await openSafetensors(dir, 'model')
        } catch (error) {
          expect(error).toBeInstanceOf(BundleError)
          outcomes.refused++
          return
        } finally {
          expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000)
        }
        outcomes.read++
        try {
          // Nothing but a change inside the data, or a header that says something else as truly, may pass.
          const content = await contentOf(opened)
          const start = dataStart(bytes)
          expect(bytes.length - start).toBe([...content.values()].reduce((sum, one) => sum + one.bytes.length, 0))
          const sameHeader = Buffer.compare(bytes.subarray(0, start), file.subarray(0, start)) === 0
          if (!sameHeader) return
          expect(bytes.length).toBe(file.length)
          let at = start
          for (const { name, type, dims, data } of list) {
            expect(content.get(name)).toEqual({ type, dims, bytes: bytes.slice(at, at + data.length) })
            at += data.length
          }
        } finally {
          await opened.close()
        }
      },
    ),
    { numRuns: 600, seed: 4 }, // fixed for the counts below,
  )
  expect(outcomes.read).toBeGreaterThan(20)
  expect(outcomes.refused).toBeGreaterThan(100)
})

test('any bytes at all are refused with a BundleError', async () => {
  const dir = await temporaryFolder()
  const path = join(dir, 'model.safetensors')
  const json = fc.json({ maxDepth: 4 }).map((text) => rawSafetensors(text))
  const fields = fc.record({ dtype: fc.anything(), shape: fc.anything(), data_offsets: fc.anything() })
  const nearly = fc.dictionary(fc.string(), fields, { minKeys: 1 }).map((header) => {
    const text = JSON.stringify(header, (_, value) => (typeof value === 'bigint' ? String(value) : value))
    return rawSafetensors(text, new Uint8Array(4))
  })
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 64 }), json, nearly), async (bytes) => {
      fc.pre(!(bytes[8] === 0x7b && bytes.length === 10)) // {} without data is a file, of no tensor
      await writeFile(path, bytes)
      await expect(openSafetensors(dir, 'model')).rejects.toBeInstanceOf(BundleError)
    }),
    { numRuns: 400 },
  )
})
