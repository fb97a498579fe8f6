/**
 * The keys and values of a context where the device multiplies them: carried there once, and not with every pass over the same
 * context. ONNX Runtime's binding for Node can do this for `webgpu` alone.
 */
import * as ort from 'onnxruntime-node'
import { GraphBuilder } from '../../model/onnxProto.ts'
import type { ContextBuffer, KeyValueShape } from './encodings.ts'

type Feeds = Readonly<Record<string, ort.Tensor>>

/** A graph that does nothing: what goes in lies in the processor's memory, what comes out where `options` say. */
export async function openCarrier(
  { layers, kvHeads, headDim }: KeyValueShape,
  options: ort.InferenceSession.SessionOptions,
): Promise<ort.InferenceSession> {
  const g = new GraphBuilder()
  for (let layer = 0; layer < layers; layer++) {
    for (const part of ['key', 'value']) {
      const info = { type: 'float32', dims: ['B', kvHeads, 'P', headDim] } as const
      const value = g.input({ name: `past.${layer}.${part}`, ...info })
      g.output({ name: `carried.${layer}.${part}`, ...info }, g.op('Identity', [value]))
    }
  }
  return ort.InferenceSession.create(g.finish('carrier'), options)
}

export class DevicePast {
  private readonly carrier: ort.InferenceSession
  private held: { readonly buffer: ContextBuffer; readonly version: number; readonly past: Feeds } | undefined

  constructor(carrier: ort.InferenceSession) {
    this.carrier = carrier
  }

  /** @param past `past.{layer}.{part}` of what the buffer holds now. */
  async of(buffer: ContextBuffer, past: Feeds): Promise<Feeds> {
    if (this.held?.buffer !== buffer || this.held.version !== buffer.version) {
      this.drop()
      const carried = await this.carrier.run(past)
      const named = Object.entries(carried).map(([name, tensor]) => [
        name.replace('carried', 'past'),
        tensor as ort.Tensor,
      ])
      this.held = { buffer, version: buffer.version, past: Object.fromEntries(named) }
    }
    return this.held.past
  }

  /** Gives back what lies on the device. */
  drop(): void {
    for (const tensor of Object.values(this.held?.past ?? {})) tensor.dispose()
    this.held = undefined
  }
}
