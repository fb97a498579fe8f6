/**
 * `config.json` of a Hugging Face folder: the sizes of the network. Three families of blocks are understood; which model
 * types belong to them, and under which names, is here and in `tensorNames.ts` alone.
 */
import { join } from 'node:path'
import { z } from 'zod'
import { BundleError } from '../base/errors.ts'
import type { LinearGroup, ModelShape } from './graph.ts'
import type { Manifest } from './manifest.ts'
import { largeJson, readJsonFile } from './readJsonFile.ts'
import { readRope } from './ropeConfig.ts'

export interface ModelConfig {
  readonly path: string
  readonly modelType: string
  readonly family: Manifest['family']
  readonly naming: Naming
  readonly maxPositions: number
  readonly saysTied: boolean // that the head is the embedding; the weights have the last word
  readonly shape: Omit<ModelShape, 'extraIds' | 'extraHeadRows' | 'adapterRank' | 'tiedHead'>
  readonly data: Readonly<Record<string, unknown>> // all of config.json
}

/** How the tensors of a model are called: as transformers calls them, or as LLaDA's own code does. */
export type Naming = 'transformers' | 'llada'

interface ModelType {
  readonly family: Manifest['family']
  readonly naming?: Naming
}

const modelTypes: Readonly<Record<string, ModelType>> = {
  llama: { family: 'llama' },
  'a2d-llama': { family: 'llama' },
  llada: { family: 'llama', naming: 'llada' },
  qwen2: { family: 'qwen2' },
  'a2d-qwen2': { family: 'qwen2' },
  Dream: { family: 'qwen2' },
  qwen3: { family: 'qwen3' },
  'a2d-qwen3': { family: 'qwen3' },
  CoDA: { family: 'qwen3' },
}

const blockCausal = 'it is block-causal: earlier blocks cannot see the code after the cursor'
const refusedTypes: Readonly<Record<string, string>> = {
  sdar: blockCausal,
  sdar_moe: blockCausal,
  llada2_moe: blockCausal,
  fast_dllm: blockCausal,
  Fast_dLLM_Qwen: blockCausal,
  stable_diffcoder: blockCausal,
  diffusion_gemma: 'it is a uniform-state model: there is no mask token, and it sees the left side only',
}

const size = z
  .number()
  .int()
  .positive()
  .max(2 ** 31)
const small = z.number().int().positive().max(100_000)

const configSchema = z.object({
  hidden_size: small,
  intermediate_size: size,
  num_attention_heads: small,
  num_hidden_layers: z.number().int().positive().max(1000),
  num_key_value_heads: small.nullish(),
  head_dim: small.nullish(),
  vocab_size: size.max(2 ** 22), // far more than any public vocabulary; lists of ids are made of it
  max_position_embeddings: size,
  rms_norm_eps: z.number().positive(),
  hidden_act: z.string().default('silu'),
  rope_theta: z.number().positive().nullish(),
  rope_parameters: z.record(z.string(), z.unknown()).nullish(),
  rope_scaling: z.record(z.string(), z.unknown()).nullish(),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  use_sliding_window: z.boolean().nullish(),
})

type Config = z.infer<typeof configSchema>

/** @throws {BundleError} when the file is missing, or the network is none that the graph can express. */
export async function readModelConfig(dir: string): Promise<ModelConfig> {
  const path = join(dir, 'config.json')
  const data = await readJsonObject(path)
  const modelType = data.model_type
  const type = typeof modelType === 'string' && Object.hasOwn(modelTypes, modelType) ? modelTypes[modelType] : undefined
  if (typeof modelType !== 'string' || !type) {
    const isRefused = typeof modelType === 'string' && Object.hasOwn(refusedTypes, modelType)
    const reason = isRefused ? refusedTypes[modelType] : undefined
    const known = Object.keys(modelTypes).join(', ')
    const found = JSON.stringify(modelType) ?? 'missing'
    throw new BundleError(
      `${path}: model_type is ${found}; ${reason ? `${reason}; it cannot be converted` : `what can be converted is ${known}`}`,
    )
  }
  const parsed = configSchema.safeParse(type.naming === 'llada' ? fromLlada(data, path) : data)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    throw new BundleError(`${path}: ${issue.path.join('.')}: ${issue.message}`)
  }
  const config = parsed.data
  if (config.hidden_act !== 'silu') throw inexpressible(path, `hidden_act is "${config.hidden_act}"`)
  if (config.use_sliding_window) throw inexpressible(path, 'use_sliding_window is true')
  const heads = config.num_attention_heads
  const kvHeads = config.num_key_value_heads ?? heads
  const headDim = config.head_dim ?? config.hidden_size / heads
  if (heads % kvHeads !== 0 || headDim % 2 !== 0) {
    throw new BundleError(`${path}: ${heads} heads of ${headDim} over ${kvHeads} key heads do not divide evenly`)
  }
  return {
    path,
    modelType,
    family: type.family,
    naming: type.naming ?? 'transformers',
    maxPositions: config.max_position_embeddings,
    saysTied: config.tie_word_embeddings,
    shape: {
      layers: config.num_hidden_layers,
      width: config.hidden_size,
      heads,
      kvHeads,
      headDim,
      mlp: config.intermediate_size,
      vocab: config.vocab_size,
      rope: readRope(config, path),
      normEps: config.rms_norm_eps,
      queryKeyNorm: type.family === 'qwen3',
      biases: biasesOf(type.family, config),
    },
    data,
  }
}

/** @throws {BundleError} */
export async function readJsonObject(path: string): Promise<Record<string, unknown>> {
  const data = await readJsonFile(path, 'a Hugging Face model folder has this file', largeJson)
  if (typeof data === 'object' && data !== null && !Array.isArray(data)) return data as Record<string, unknown>
  throw new BundleError(`${path}: wanted a JSON object; fetch the model again`)
}

function inexpressible(path: string, what: string): BundleError {
  return new BundleError(`${path}: ${what}, which the graph cannot express`)
}

/** Qwen2's query, key and value always have a bias, and its config does not say so. */
function biasesOf(family: Manifest['family'], { attention_bias, mlp_bias }: Config): LinearGroup[] {
  if (family === 'qwen2') return ['qkv']
  return [
    ...(attention_bias === true ? (['qkv', 'o'] as const) : []),
    ...(mlp_bias === true ? (['gate_up', 'down'] as const) : []),
  ]
}

/** LLaDA's names of the same things. */
function fromLlada(data: Record<string, unknown>, path: string): Record<string, unknown> {
  const wanted: Readonly<Record<string, readonly unknown[]>> = {
    block_type: ['llama'],
    activation_type: ['silu'],
    layer_norm_type: ['rms'],
    rope: [true],
    alibi: [false, undefined],
    attention_layer_norm: [false, undefined],
    bias_for_layer_norm: [false, null, undefined],
    include_bias: [false, undefined],
    include_qkv_bias: [false, undefined],
    input_emb_norm: [false, undefined],
    scale_logits: [false, undefined],
  }
  for (const [key, values] of Object.entries(wanted)) {
    if (!values.includes(data[key])) throw inexpressible(path, `${key} is ${JSON.stringify(data[key]) ?? 'missing'}`)
  }
  return {
    hidden_size: data.d_model,
    intermediate_size: data.mlp_hidden_size,
    num_attention_heads: data.n_heads,
    num_key_value_heads: data.n_kv_heads,
    num_hidden_layers: data.n_layers,
    vocab_size: data.embedding_size ?? data.vocab_size,
    max_position_embeddings: data.max_sequence_length,
    rms_norm_eps: data.rms_norm_eps,
    rope_theta: data.rope_theta,
    tie_word_embeddings: data.weight_tying,
  }
}

/** The sizes of a bundle's graph. Ids beyond the embedding are known by being named in the manifest. */
export function bundleShape(
  config: ModelConfig,
  manifest: Pick<Manifest, 'vocab' | 'maskId' | 'endIds' | 'expandId' | 'adapter' | 'tiedHead'>,
): ModelShape {
  const { vocab } = config.shape
  const highest = Math.max(manifest.maskId, manifest.expandId ?? 0, ...manifest.endIds)
  return {
    ...config.shape,
    extraIds: Math.max(0, highest + 1 - vocab),
    extraHeadRows: manifest.vocab - vocab,
    adapterRank: manifest.adapter?.rank ?? 0,
    tiedHead: manifest.tiedHead,
  }
}
