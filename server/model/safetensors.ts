/**
 * Reads safetensors: 8 bytes of header length, a JSON header, raw little-endian data; one file, or several with an index.
 *
 * Nothing is taken on trust: every length and offset is checked against the size of the file before memory is asked for.
 * Tensors are read one at a time. Knows nothing of what they are for.
 */
import { type FileHandle, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { BundleError } from '../base/errors.ts'
import { fromHalves } from './float16.ts'
import { largeJson, openPlainFile, parseJson, printable, readJsonFile } from './readJsonFile.ts'

const elementBytes = {
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
const readBytes = 64 * 1024 * 1024
const maxReadBytes = 4_000_000_000 // what one array of Node 20 holds

const openingBrace = 0x7b

const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(z.number().int().nonnegative()),
  data_offsets: z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()]),
})
const metadataSchema = z.record(z.string(), z.string())

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) })

interface Place {
  readonly path: string
  readonly file: FileHandle
  readonly info: TensorInfo
}

/** Open safetensors files; `close` them. */
export class Safetensors {
  readonly tensors: ReadonlyMap<string, TensorInfo>
  private readonly places: ReadonlyMap<string, Place>
  private readonly files: readonly FileHandle[] // also those that hold no tensor

  constructor(places: ReadonlyMap<string, Place>, files: readonly FileHandle[]) {
    this.places = places
    this.files = files
    this.tensors = new Map(Array.from(places, ([name, { info }]) => [name, info]))
  }

  /**
   * The tensor as float32, which holds every F16 and BF16 number; or `count` of its values from value `first` on.
   *
   * @throws {BundleError} when it is absent, of another type, or the file ends early.
   * @throws {RangeError} when the part is not inside the tensor.
   */
  async read(name: string, first = 0, count?: number): Promise<Float32Array<ArrayBuffer>> {
    const { path, file, info } = this.place(name)
    const { type } = info
    if (type !== 'F32' && type !== 'F16' && type !== 'BF16')
      throw new BundleError(`${path}: tensor ${name} is ${type}; weights are read from F32, F16 or BF16`)
    const size = elementBytes[type]
    const valueCount = count ?? info.bytes / size - first
    const whole = Number.isSafeInteger(first) && Number.isSafeInteger(valueCount)
    if (!whole || first < 0 || valueCount < 0 || (first + valueCount) * size > info.bytes)
      throw new RangeError(`values ${first} to ${first + valueCount} of tensor ${name}, which has ${info.bytes / size}`)
    const { buffer } = await readExactly(file, path, info.offset + first * size, valueCount * size)
    switch (type) {
      case 'F32':
        return new Float32Array(buffer)
      case 'F16':
        return fromHalves(new Uint16Array(buffer))
      case 'BF16':
        return fromBfloats(new Uint16Array(buffer))
    }
  }

  /** The bytes of a tensor as they lie in the file. */
  async readRaw(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const { path, file, info } = this.place(name)
    return readExactly(file, path, info.offset, info.bytes)
  }

  /** Of the files it reads. */
  get paths(): string[] {
    return [...new Set(Array.from(this.places.values(), ({ path }) => path))]
  }

  async close(): Promise<void> {
    for (const file of this.files) await file.close()
  }

  private place(name: string) {
    const place = this.places.get(name)
    if (!place)
      throw new BundleError(`no tensor ${name} among the ${this.places.size} of the model; is the download complete?`)
    return place
  }
}

/**
 * `DIR/STEM.safetensors`, or the files that `DIR/STEM.safetensors.index.json` names.
 *
 * @throws {BundleError} when a file is missing, truncated or says something impossible.
 */
export async function openSafetensors(dir: string, stem: string): Promise<Safetensors> {
  const indexPath = join(dir, `${stem}.safetensors.index.json`)
  const single = join(dir, `${stem}.safetensors`)
  if ((await exists(single)) || !(await exists(indexPath))) return openFiles([single])
  const weightMap = await readIndex(indexPath)
  const shards = [...new Set(weightMap.values())]
  const bad = shards.find(
    (shard) => shard !== basename(shard) || shard.includes('\\') || !shard.endsWith('.safetensors'),
  )
  if (bad !== undefined)
    throw new BundleError(`${indexPath}: "${printable(bad)}" is no file of this folder; fetch the model again`)
  const opened = await openFiles(shards.map((shard) => join(dir, shard)))
  const lost = [...weightMap.keys()].find((name) => !opened.tensors.has(name))
  if (lost === undefined) return opened
  await opened.close()
  const reason = printable(`tensor ${lost} is not in ${weightMap.get(lost)}`)
  throw new BundleError(`${indexPath}: ${reason}; fetch the model again`)
}

async function readIndex(path: string): Promise<Map<string, string>> {
  const parsed = indexSchema.safeParse(await readJsonFile(path, 'fetch the model again', largeJson))
  if (parsed.success) {
    const map = new Map(Object.entries(parsed.data.weight_map))
    if (map.size > 0) return map
    throw new BundleError(`${path}: it names no file; fetch the model again`)
  }
  throw new BundleError(`${path}: it has no "weight_map" of file names; fetch the model again`)
}

async function openFiles(paths: readonly string[]): Promise<Safetensors> {
  const places = new Map<string, Place>()
  const files: FileHandle[] = []
  try {
    for (const path of paths) {
      const file = await openPlainFile(path, 'fetch the model again')
      files.push(file)
      for (const [name, info] of await readHeader(path, file)) {
        const other = places.get(name)
        if (other)
          throw new BundleError(
            `${path}: tensor ${printable(name)} is in ${basename(other.path)} too; fetch the model again`,
          )
        places.set(name, { path, file, info })
      }
    }
  } catch (error) {
    for (const file of files) await file.close()
    throw error
  }
  return new Safetensors(places, files)
}

async function readHeader(path: string, file: FileHandle): Promise<Map<string, TensorInfo>> {
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

function fromBfloats(bfloats: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(bfloats.length)
  for (let i = 0; i < bfloats.length; i++) bits[i] = bfloats[i]! << 16
  return new Float32Array(bits.buffer)
}

/** @throws {BundleError} when the file ends before. */
export async function readExactly(
  file: FileHandle,
  path: string,
  offset: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  if (length > maxReadBytes)
    throw new BundleError(
      `${path}: ${length} bytes in one piece, at most ${maxReadBytes} are read; such a model is too large`,
    )
  const bytes = new Uint8Array(length)
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(readBytes, length - done), offset + done)
    if (bytesRead === 0)
      throw new BundleError(
        `${path}: ends at byte ${offset + done}, ${offset + length} were announced; fetch the file again`,
      )
    done += bytesRead
  }
  return bytes
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
