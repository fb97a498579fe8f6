/**
 * Writes ONNX files: nodes, initializers and value infos as protobuf messages (onnx.proto3, IR version 10).
 *
 * Knows the format and nothing of language models; `graph.ts` says which nodes. Weights are referred to by place in an
 * external file, never held here.
 */
import { BinaryWriter } from '@bufbuild/protobuf/wire'

export type ElementType = 'float32' | 'float16' | 'uint8' | 'int8' | 'int32' | 'int64' | 'bool'

const elementCodes: Record<ElementType, number> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
}

/** Where the bytes of a weight lie: little-endian, row-major, in a file beside the graph. */
export interface StoredTensor {
  readonly type: ElementType
  readonly dims: readonly number[]
  readonly file: string
  readonly offset: number // bytes
  readonly length: number // bytes
}

/** `int` and `ints` are int64 attributes; numbers in `float` are float32. */
export type Attribute =
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly float: number }
  | { readonly string: string }

export interface ValueInfo {
  readonly name: string
  readonly type: ElementType
  readonly dims: readonly (number | string)[] // a string is a symbolic dimension
}

interface Node {
  readonly type: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: Record<string, Attribute>
  readonly domain: string
}

const microsoft = 'com.microsoft'
const opset = 23
const irVersion = 10

/** Collects nodes in order; every method returns the name of the value it makes. */
export class GraphBuilder {
  private readonly nodes: Node[] = []
  private readonly initializers: Uint8Array[] = []
  private readonly inputs: Uint8Array[] = []
  private readonly outputs: Uint8Array[] = []
  private readonly constants = new Map<string, string>()
  private readonly renamed = new Map<string, string>()
  private count = 0

  input(info: ValueInfo): string {
    this.inputs.push(valueInfo(info))
    return info.name
  }

  /** Declares `value`, made by some node, as an output of the graph; it is called `info.name` from then on. */
  output(info: ValueInfo, value: string): void {
    this.renamed.set(value, info.name)
    this.outputs.push(valueInfo(info))
  }

  stored(name: string, tensor: StoredTensor): string {
    const place = [
      ['location', tensor.file],
      ['offset', String(tensor.offset)],
      ['length', String(tensor.length)],
    ] as const
    const writer = tensorHead(name, tensor.type, tensor.dims)
    for (const [key, value] of place)
      writer.tag(13, 2).bytes(new BinaryWriter().tag(1, 2).string(key).tag(2, 2).string(value).finish())
    this.initializers.push(writer.tag(14, 0).int32(1).finish())
    return name
  }

  int64(values: readonly number[], scalar = false): string {
    const data = new Uint8Array(BigInt64Array.from(values, BigInt).buffer)
    return this.constant('int64', scalar ? [] : [values.length], data)
  }

  float32(values: ArrayLike<number>, dims: readonly number[] = []): string {
    return this.constant('float32', dims, new Uint8Array(Float32Array.from(values).buffer))
  }

  op(type: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    return this.add(type, inputs, 1, attributes, '')[0]!
  }

  ops(
    type: string,
    inputs: readonly string[],
    outputCount: number,
    attributes: Record<string, Attribute> = {},
  ): string[] {
    return this.add(type, inputs, outputCount, attributes, '')
  }

  /** An operator of ONNX Runtime's own domain, `com.microsoft`. */
  contrib(type: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    return this.add(type, inputs, 1, attributes, microsoft)[0]!
  }

  /** The same, of which the outputs at these places are wanted; those between them are not computed. */
  contribs(
    type: string,
    inputs: readonly string[],
    places: readonly number[],
    attributes: Record<string, Attribute> = {},
  ): string[] {
    const count = Math.max(...places) + 1
    const outputs = this.add(type, inputs, count, attributes, microsoft, (place) => places.includes(place))
    return places.map((place) => outputs[place]!)
  }

  /** The bytes of a `.onnx` file. */
  finish(name: string): Uint8Array<ArrayBuffer> {
    const graph = new BinaryWriter()
    for (const node of this.nodes) graph.tag(1, 2).bytes(nodeBytes(node, this.renamed))
    graph.tag(2, 2).string(name)
    for (const bytes of this.initializers) graph.tag(5, 2).bytes(bytes)
    for (const bytes of this.inputs) graph.tag(11, 2).bytes(bytes)
    for (const bytes of this.outputs) graph.tag(12, 2).bytes(bytes)
    const model = new BinaryWriter()
      .tag(1, 0)
      .int64(irVersion)
      .tag(2, 2)
      .string('lacuna')
      .tag(7, 2)
      .bytes(graph.finish())
    model.tag(8, 2).bytes(new BinaryWriter().tag(1, 2).string('').tag(2, 0).int64(opset).finish())
    model.tag(8, 2).bytes(new BinaryWriter().tag(1, 2).string(microsoft).tag(2, 0).int64(1).finish())
    return Uint8Array.from(model.finish())
  }

  private constant(type: ElementType, dims: readonly number[], data: Uint8Array): string {
    const key = `${type}:${dims}:${Buffer.from(data).toString('base64')}`
    const known = this.constants.get(key)
    if (known) return known
    const name = `constant_${this.constants.size}`
    this.initializers.push(tensorHead(name, type, dims).tag(9, 2).bytes(data).finish())
    this.constants.set(key, name)
    return name
  }

  private add(
    type: string,
    inputs: readonly string[],
    outputCount: number,
    attributes: Record<string, Attribute>,
    domain: string,
    isWanted: (place: number) => boolean = () => true,
  ): string[] {
    const outputs = Array.from({ length: outputCount }, (_, place) => {
      const name = `${type}_${this.count++}`
      return isWanted(place) ? name : ''
    })
    this.nodes.push({ type, inputs, outputs, attributes, domain })
    return outputs
  }
}

function nodeBytes(
  { type, inputs, outputs, attributes, domain }: Node,
  renamed: ReadonlyMap<string, string>,
): Uint8Array {
  const writer = new BinaryWriter()
  for (const name of inputs) writer.tag(1, 2).string(renamed.get(name) ?? name)
  for (const name of outputs) writer.tag(2, 2).string(renamed.get(name) ?? name)
  writer.tag(3, 2).string(`node_${outputs[0]}`).tag(4, 2).string(type)
  for (const [name, value] of Object.entries(attributes)) writer.tag(5, 2).bytes(attribute(name, value))
  return writer.tag(7, 2).string(domain).finish()
}

function attribute(name: string, value: Attribute): Uint8Array {
  const writer = new BinaryWriter().tag(1, 2).string(name)
  if ('int' in value) return writer.tag(3, 0).int64(value.int).tag(20, 0).int32(2).finish()
  if ('float' in value) return writer.tag(2, 5).float(value.float).tag(20, 0).int32(1).finish()
  if ('string' in value) return writer.tag(4, 2).string(value.string).tag(20, 0).int32(3).finish()
  for (const number of value.ints) writer.tag(8, 0).int64(number)
  return writer.tag(20, 0).int32(7).finish()
}

function tensorHead(name: string, type: ElementType, dims: readonly number[]): BinaryWriter {
  const writer = new BinaryWriter()
  for (const dim of dims) writer.tag(1, 0).int64(dim)
  return writer.tag(2, 0).int32(elementCodes[type]).tag(8, 2).string(name)
}

function valueInfo({ name, type, dims }: ValueInfo): Uint8Array {
  const shape = new BinaryWriter()
  for (const dim of dims) {
    const message = new BinaryWriter()
    if (typeof dim === 'string') message.tag(2, 2).string(dim)
    else message.tag(1, 0).int64(dim)
    shape.tag(1, 2).bytes(message.finish())
  }
  const tensor = new BinaryWriter().tag(1, 0).int32(elementCodes[type]).tag(2, 2).bytes(shape.finish())
  const typeProto = new BinaryWriter().tag(1, 2).bytes(tensor.finish())
  return new BinaryWriter().tag(1, 2).string(name).tag(2, 2).bytes(typeProto.finish()).finish()
}
