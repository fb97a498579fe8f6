/**
 * The header of a safetensors file: what it says of each tensor, checked against the size of the file and against the
 * other tensors before memory is asked for.
 */
import type { FileHandle } from 'node:fs/promises'
import { z } from 'zod'
import { BundleError } from '../base/errors.ts'
import { readExactly } from './readExactly.ts'
import { largeJson, parseJson, printable } from './readJsonFile.ts'

export const elementBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const

export type TensorType = keyof typeof elementBytes

export interface TensorInfo {
  readonly type: TensorType
  readonly dims: readonly number[]
  readonly offset: number // bytes from the start of the file
  readonly bytes: number
}

const maxHeaderBytes = 100_000_000 // the limit of the format's own library

const openingBrace = 0x7b

const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(z.number().int().nonnegative()),
  data_offsets: z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()]),
})
const metadataSchema = z.record(z.string(), z.string())

/** @throws {BundleError} when the file is truncated or says something impossible. */
export async function readHeader(path: string, file: FileHandle): Promise<Map<string, TensorInfo>> {
  const wrong = (reason: string) => new BundleError(`${path}: ${printable(reason)}; fetch the file again`)
  const { size } = await file.stat()
  if (size < 8) throw wrong(`${size} bytes are too few for a safetensors file`)
  const length = new DataView((await readExactly(file, path, 0, 8)).buffer).getBigUint64(0, true)
  if (length > BigInt(maxHeaderBytes))
    throw wrong(`a header of ${length} bytes is announced, at most ${maxHeaderBytes} are read`)
  const dataStart = 8 + Number(length)
  if (dataStart > size) throw wrong(`a header of ${length} bytes is announced, the file has ${size} bytes`)
  const text = await readExactly(file, path, 8, Number(length))
  let header: unknown
  try {
    header = parseJson(text, largeJson)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw wrong(`the header is no JSON (${error.message})`)
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw wrong('the header is no JSON object')
  if (text[0] !== openingBrace) throw wrong('the header does not begin with {') // other readers insist on it

  const tensors = new Map<string, TensorInfo>()
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') {
      if (!metadataSchema.safeParse(entry).success) throw wrong('__metadata__ holds more than texts')
      continue
    }
    const parsed = entrySchema.safeParse(entry)
    if (!parsed.success)
      throw wrong(`tensor ${name}: ${parsed.error.issues[0]!.path.join('.')}: ${parsed.error.issues[0]!.message}`)
    const {
      dtype,
      shape,
      data_offsets: [start, end],
    } = parsed.data
    if (!isTensorType(dtype)) throw wrong(`tensor ${name}: unknown type ${JSON.stringify(dtype)}`)
    const bytes = byteCount(dtype, shape)
    if (bytes === undefined)
      throw wrong(
        `tensor ${name}: ${dtype} [${dimsText(shape)}] takes 2^53 or more bytes, its offsets span ${end - start}`,
      )
    if (end - start !== bytes)
      throw wrong(`tensor ${name}: ${dtype} [${dimsText(shape)}] takes ${bytes} bytes, its offsets span ${end - start}`)
    if (dataStart + end > size) throw wrong(`tensor ${name} ends at byte ${dataStart + end}, the file at ${size}`)
    tensors.set(name, { type: dtype, dims: shape, offset: dataStart + start, bytes })
  }

  let end = dataStart
  for (const [name, info] of [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (info.offset < end) throw wrong(`tensor ${name} overlaps the one before it`)
    if (info.offset > end) throw wrong(`${info.offset - end} bytes before tensor ${name} belong to none`)
    end = info.offset + info.bytes
  }
  if (end !== size) throw wrong(`the tensors end at byte ${end}, the file at ${size}`)
  return tensors
}

/** Undefined where numbers stop being exact, even on the way to a product of zero. */
function byteCount(type: TensorType, dims: readonly number[]): number | undefined {
  let bytes: number = elementBytes[type]
  for (const dim of dims) {
    bytes *= dim
    if (!Number.isSafeInteger(bytes)) return undefined
  }
  return bytes
}

function dimsText(dims: readonly number[]): string {
  return dims.length > 8 ? `${dims.slice(0, 8)},… of ${dims.length}` : String(dims)
}

function isTensorType(type: string): type is TensorType {
  return Object.hasOwn(elementBytes, type)
}
