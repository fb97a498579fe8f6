/**
 * The numbers of `families.json`, made by `makeFamilies.py` from the public modelling code, and the models they are
 * about: Hugging Face folders whose weights come from the counter, in the layout of each public family.
 */
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { toHalves } from '../../server/model/float16.ts'
import { safetensorsBytes, type TensorData } from '../model/writeSafetensors.ts'
import { checksum, counterIds, counterWeight } from './counterWeights.ts'
import { syntheticTokenizer } from './realVocabularyTokenizer.ts'

export interface FamilyModel {
  readonly name: string
  readonly of: string // the public model whose layout it has
  readonly code: string // what was run for the numbers
  readonly seed: number
  readonly storage: 'F32' | 'F16' | 'BF16'
  readonly shards: number
  readonly facts: {
    readonly attention: 'causal-context' | 'bidirectional'
    readonly logits_shift: 0 | 1
    readonly mask_token_id: number
    readonly end_token_ids: number[]
    readonly length_mode: 'end-token'
  }
  readonly config: { readonly vocab_size: number }
  readonly checksum: number
  readonly tensors: readonly (readonly [name: string, dims: number[]])[]
}

export interface FamilyRow {
  readonly row: number // counted without the padding
  readonly top: number[]
  readonly logits: number[]
  readonly lse: number
  readonly sampled: number[]
}

export interface FamilySequence {
  readonly seed: number
  readonly pad: number
  readonly prefix: number
  readonly canvas: number
  readonly suffix: number
  readonly firstPosition: number
  readonly rows: readonly FamilyRow[]
}

export interface FamilyCase {
  readonly model: string
  readonly name: string
  readonly window: readonly [from: number, to: number] | null
  readonly sequences: readonly FamilySequence[]
}

export interface Families {
  readonly header: {
    readonly plainIds: number
    readonly maskId: number
    readonly sampledIds: number[]
    readonly someIds: number[]
  }
  readonly models: FamilyModel[]
  readonly cases: FamilyCase[]
}

export function readFamilies(): Families {
  return JSON.parse(readFileSync(new URL('./families.json', import.meta.url), 'utf8'))
}

/** Ids of all rows but the padding. */
export function rowsOf(
  { header }: Families,
  { seed, prefix, canvas, suffix }: FamilySequence,
): { ids: number[]; canvasEnd: number; count: number } {
  const count = prefix + canvas + suffix
  const canvasEnd = prefix + canvas
  const ids = counterIds(seed, 'ids', count, header.plainIds)
  for (let slot = 0; slot < canvas; slot++) if (slot % 3) ids[prefix + slot] = header.maskId
  return { ids, canvasEnd, count }
}

/** Prefix and suffix of a causal-context model are read causally, each by itself; its canvas rows see everything. */
export function sees(model: FamilyModel, { prefix, canvas }: FamilySequence, row: number, column: number): boolean {
  if (model.facts.attention === 'bidirectional') return true
  const canvasEnd = prefix + canvas
  if (row < prefix) return column <= row
  return row < canvasEnd || (column >= canvasEnd && column <= row)
}

/** `config.json`, `tokenizer.json` and `*.safetensors`, stored as the model says. Gives the checksum of its weights. */
export async function writeFamilyFolder(dir: string, model: FamilyModel): Promise<number> {
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'config.json'), JSON.stringify(model.config))
  await writeFile(join(dir, 'tokenizer.json'), JSON.stringify(syntheticTokenizer(model.config.vocab_size)))
  let sum = 0
  const shards = Array.from({ length: model.shards }, () => new Map<string, TensorData>())
  const weightMap: Record<string, string> = {}
  const perShard = Math.ceil(model.tensors.length / model.shards)
  for (const [i, [name, dims]] of model.tensors.entries()) {
    const values = counterWeight(model.seed, name, dims)
    sum = (sum + checksum(values)) >>> 0
    const shard = Math.floor(i / perShard)
    shards[shard]!.set(name, { type: model.storage, dims, data: stored(values, model.storage) })
    weightMap[name] = shardName(shard, model.shards)
  }
  for (const [shard, tensors] of shards.entries())
    await writeFile(join(dir, shardName(shard, model.shards)), safetensorsBytes(tensors))
  if (model.shards > 1) {
    const index = { metadata: {}, weight_map: weightMap }
    await writeFile(join(dir, 'model.safetensors.index.json'), JSON.stringify(index))
  }
  return sum
}

function shardName(shard: number, count: number): string {
  if (count === 1) return 'model.safetensors'
  const padded = (number: number): string => String(number).padStart(5, '0')
  return `model-${padded(shard + 1)}-of-${padded(count)}.safetensors`
}

function stored(values: Float32Array<ArrayBuffer>, storage: FamilyModel['storage']): TensorData['data'] {
  switch (storage) {
    case 'F32':
      return values
    case 'F16':
      return toHalves(values)
    case 'BF16':
      return toBfloats(values)
  }
}

/** The upper halves of finite float32 numbers, to nearest, ties to even. */
function toBfloats(values: Float32Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer)
  const halves = new Uint16Array(bits.length)
  for (let i = 0; i < bits.length; i++) halves[i] = (bits[i]! + 0x7fff + ((bits[i]! >>> 16) & 1)) >>> 16
  return halves
}
