/**
 * Reads safetensors: 8 bytes of header length, a JSON header, raw little-endian data; one file, or several with an index.
 *
 * Nothing is taken on trust (`safetensorsHeader.ts`). Tensors are read one at a time. Knows nothing of what they are for.
 */
import { type FileHandle, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { BundleError } from '../base/errors.ts'
import { fromHalves } from './float16.ts'
import { readExactly } from './readExactly.ts'
import { largeJson, openPlainFile, printable, readJsonFile } from './readJsonFile.ts'
import { elementBytes, readHeader, type TensorInfo } from './safetensorsHeader.ts'

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

function fromBfloats(bfloats: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(bfloats.length)
  for (let i = 0; i < bfloats.length; i++) bits[i] = bfloats[i]! << 16
  return new Float32Array(bits.buffer)
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
