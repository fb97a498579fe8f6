/** The bytes of a safetensors file, for tests of what reads them. */

export interface TensorData {
  readonly type: 'F32' | 'F16' | 'BF16' | 'I64'
  readonly dims: readonly number[]
  readonly data: Float32Array | Uint16Array | BigInt64Array
}

export function safetensorsBytes(tensors: ReadonlyMap<string, TensorData>): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } }
  let end = 0
  for (const [name, { type, dims, data }] of tensors) {
    header[name] = { dtype: type, shape: dims, data_offsets: [end, (end += data.byteLength)] }
  }
  const pieces = Array.from(
    tensors.values(),
    ({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  )
  return rawSafetensors(JSON.stringify(header), ...pieces)
}

/** Any header, true or not, and any data. */
export function rawSafetensors(header: string, ...data: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(header)
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true)
  return new Uint8Array(Buffer.concat([length, text, ...data]))
}
