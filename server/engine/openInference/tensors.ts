/**
 * Bodies of the Open Inference Protocol v2 with the binary tensor extension: a JSON head, then the tensors' bytes, little
 * endian, one after the other. Knows the protocol and no contract.
 *
 * Source: KServe "Open Inference Protocol", `binary_tensor_data`; Triton's `protocol/extension_binary_data.md`.
 */

export interface Tensor {
  readonly datatype: Datatype
  readonly shape: readonly number[]
  /** As many as the shape says; INT64 are safe integers, BYTES are texts. */
  readonly data: readonly number[] | Float32Array | readonly string[]
}

export type Datatype = 'UINT8' | 'INT32' | 'INT64' | 'FP32' | 'BYTES'
export type Tensors = Readonly<Record<string, Tensor>>

export interface Body {
  readonly head: Readonly<Record<string, unknown>> // without the tensors
  readonly tensors: Tensors
}

export const headLength = 'inference-header-content-length'

/** A body that is not what the protocol says. */
export class MalformedBody extends Error {
  override readonly name = 'MalformedBody'
}

/** @param part where the tensors stand in the head. */
export function writeBody(part: 'inputs' | 'outputs', { head, tensors }: Body): { headBytes: number; bytes: Buffer } {
  const data = Object.values(tensors).map(bytesOf)
  const described = Object.entries(tensors).map(([name, { datatype, shape }], i) => ({
    ...{ name, datatype, shape, parameters: { binary_data_size: data[i]!.length } },
  }))
  const json = Buffer.from(JSON.stringify({ ...head, [part]: described }))
  return { headBytes: json.length, bytes: Buffer.concat([json, ...data]) }
}

/**
 * @param headBytes of the JSON head; undefined when all of the body is JSON.
 * @throws {MalformedBody} that says what was wanted and what was found.
 */
export function readBody(part: 'inputs' | 'outputs', bytes: Buffer, headBytes: number | undefined): Body {
  const end = headBytes ?? bytes.length
  if (!Number.isInteger(end) || end < 2 || end > bytes.length)
    throw new MalformedBody(`wanted a head of at most ${bytes.length} bytes, found ${headBytes}`)
  const { [part]: described = [], ...head } = parsed(bytes.subarray(0, end).toString('utf8'))
  if (!Array.isArray(described)) throw new MalformedBody(`wanted a list of ${part}, found ${typeof described}`)
  const tensors: Record<string, Tensor> = {}
  let at = end
  for (const one of described) {
    const { name, datatype, shape, data, size } = description(one)
    const count = shape.reduce((product, dim) => product * dim, 1)
    if (size === undefined) {
      const values: unknown[] | undefined = Array.isArray(data) ? data.flat(9) : undefined
      const type = datatype === 'BYTES' ? 'string' : 'number'
      if (values?.length !== count || values.some((value) => typeof value !== type))
        throw new MalformedBody(`${name}: wanted ${count} values, found ${values ? 'others' : 'none'}`)
      tensors[name] = { datatype, shape, data: values as number[] | string[] }
      continue
    }
    if (!Number.isInteger(size) || size < 0 || at + size > bytes.length)
      throw new MalformedBody(`${name}: ${size} bytes are announced, ${bytes.length - at} are there`)
    tensors[name] = { datatype, shape, data: valuesOf(name, datatype, count, bytes.subarray(at, at + size)) }
    at += size
  }
  if (at !== bytes.length) throw new MalformedBody(`${bytes.length - at} bytes belong to no tensor`)
  return { head, tensors }
}

function parsed(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new MalformedBody('the head is no JSON', { cause: error })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new MalformedBody('the head is no JSON object')
  return value as Record<string, unknown>
}

function description(value: unknown) {
  const { name, datatype, shape, data, parameters } = (value ?? {}) as Record<string, unknown>
  if (typeof name !== 'string') throw new MalformedBody('a tensor without a name')
  if (typeof datatype !== 'string' || !(datatype in elementBytes))
    throw new MalformedBody(`${name}: datatype ${String(datatype)} is not known`)
  const isDim = (dim: unknown) => Number.isSafeInteger(dim) && (dim as number) >= 0
  if (!Array.isArray(shape) || !shape.every(isDim)) throw new MalformedBody(`${name}: a shape is a list of sizes`)
  const size = (parameters as Record<string, unknown> | undefined)?.binary_data_size as number | undefined
  return { name, datatype: datatype as Datatype, shape: shape as number[], data, size }
}

const elementBytes: Readonly<Record<Datatype, number>> = { UINT8: 1, INT32: 4, INT64: 8, FP32: 4, BYTES: 0 }

function bytesOf({ datatype, data }: Tensor): Buffer {
  if (datatype === 'BYTES') {
    return Buffer.concat(
      (data as readonly string[]).flatMap((text) => {
        const bytes = Buffer.from(text)
        const length = Buffer.alloc(4)
        length.writeUInt32LE(bytes.length)
        return [length, bytes]
      }),
    )
  }
  const values = data as readonly number[] | Float32Array
  const bytes = Buffer.alloc(values.length * elementBytes[datatype])
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    switch (datatype) {
      case 'UINT8':
        bytes.writeUInt8(value, i)
        break
      case 'INT32':
        bytes.writeInt32LE(value, i * 4)
        break
      case 'INT64':
        bytes.writeBigInt64LE(BigInt(value), i * 8)
        break
      case 'FP32':
        bytes.writeFloatLE(value, i * 4)
        break
    }
  }
  return bytes
}

function valuesOf(name: string, datatype: Datatype, count: number, bytes: Buffer): Tensor['data'] {
  if (datatype !== 'BYTES' && bytes.length !== count * elementBytes[datatype])
    throw new MalformedBody(
      `${name}: wanted ${count * elementBytes[datatype]} bytes for ${count} values, found ${bytes.length}`,
    )
  const each = <Value>(read: (i: number) => Value): Value[] => Array.from({ length: count }, (_, i) => read(i))
  switch (datatype) {
    case 'UINT8':
      return each((i) => bytes[i]!)
    case 'INT32':
      return each((i) => bytes.readInt32LE(i * 4))
    case 'INT64':
      return each((i) => safe(name, bytes.readBigInt64LE(i * 8)))
    case 'FP32':
      return Float32Array.from({ length: count }, (_, i) => bytes.readFloatLE(i * 4))
    case 'BYTES':
      return texts(name, count, bytes)
  }
}

function safe(name: string, value: bigint): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw new MalformedBody(`${name}: ${value} is too large`)
  return number
}

function texts(name: string, count: number, bytes: Buffer): string[] {
  const found: string[] = []
  let at = 0
  while (at + 4 <= bytes.length && found.length < count) {
    const end = at + 4 + bytes.readUInt32LE(at)
    if (end > bytes.length) break
    found.push(bytes.subarray(at + 4, end).toString('utf8'))
    at = end
  }
  if (found.length !== count || at !== bytes.length) throw new MalformedBody(`${name}: wanted ${count} texts`)
  return found
}
