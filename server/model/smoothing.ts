/**
 * `smoothing.f16` of a bundle (optional): what each channel that goes into a product is divided by before it is rounded to
 * 8 bits. Made by `training/smoothing.py` from what the network says of real code.
 *
 * Halves, little-endian, by layer: into the query, key and value; into gate and up; into down.
 */
import { readFile } from 'node:fs/promises'
import { BundleError } from '../base/errors.ts'
import { fromHalves } from './float16.ts'
import { groupSize, type LinearGroup, type ModelShape } from './graph.ts'

export const smoothingFile = 'smoothing.f16'

export interface Smoothing {
  /** `[columns]` of the group, all above 0. */
  into(layer: number, group: LinearGroup): Float32Array
}

const smoothed = ['qkv', 'gate_up', 'down'] as const

export function noSmoothing(shape: ModelShape): Smoothing {
  return { into: (_, group) => new Float32Array(groupSize(shape, group).columns).fill(1) }
}

/** @throws {BundleError} when it is not for a network of this kind and these sizes, or holds a factor that is none. */
export async function readSmoothing(path: string, shape: ModelShape): Promise<Smoothing> {
  if (shape.biases.includes('gate_up'))
    throw new BundleError(`${path}: gate and up have biases, which smoothing would have to change too; remove the file`)
  const bytes = await readFile(path)
  const sizes = smoothed.map((group) => groupSize(shape, group).columns)
  const perLayer = sizes.reduce((sum, size) => sum + size, 0)
  const wanted = shape.layers * perLayer * 2
  if (bytes.length !== wanted)
    throw new BundleError(`${path}: ${bytes.length} bytes, config.json asks for ${wanted}; fetch the model again`)
  const factors = fromHalves(new Uint16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)))
  const bad = factors.findIndex((factor) => !(factor > 0 && Number.isFinite(factor)))
  if (bad >= 0) throw new BundleError(`${path}: factor ${bad} is ${factors[bad]}; fetch the model again`)
  const none = noSmoothing(shape)
  return {
    into(layer, group) {
      const at = (smoothed as readonly LinearGroup[]).indexOf(group)
      if (at < 0) return none.into(layer, group)
      const first = layer * perLayer + sizes.slice(0, at).reduce((sum, size) => sum + size, 0)
      return factors.subarray(first, first + sizes[at]!)
    },
  }
}
