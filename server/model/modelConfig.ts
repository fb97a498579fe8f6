/**
 * `config.json` of a Hugging Face folder: the sizes of the network, and the facts about infilling under its key
 * `infill`. What it does not say is asked for, never guessed.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { BundleError, messageOf } from '../base/errors.ts'
import type { ModelShape } from './graph.ts'
import type { Manifest } from './manifest.ts'

export interface ModelConfig {
  readonly path: string
  readonly family: Manifest['family']
  readonly maxPositions: number
  readonly tied: boolean // the head is the embedding
  readonly shape: Omit<ModelShape, 'extraIds' | 'extraHeadRows' | 'adapterRank'>
  readonly infill: unknown
}

const size = z.number().int().positive()

const configSchema = z.object({
  model_type: z.string(),
  hidden_size: size,
  intermediate_size: size,
  num_attention_heads: size,
  num_hidden_layers: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  vocab_size: size,
  max_position_embeddings: size,
  rms_norm_eps: z.number().positive(),
  hidden_act: z.string().default('silu'),
  rope_theta: z.number().positive().nullish(),
  rope_parameters: z.object({ rope_theta: z.number().positive().nullish(), rope_type: z.string().nullish() }).nullish(),
  rope_scaling: z.unknown().optional(),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  use_sliding_window: z.boolean().nullish(),
  infill: z.unknown().optional(),
})

/** @throws {BundleError} when the file is missing, or the network is none that the graph can express. */
export async function readModelConfig(dir: string): Promise<ModelConfig> {
  const path = join(dir, 'config.json')
  let data: unknown
  try {
    data = JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw new BundleError(`${path}: ${messageOf(error)}; a Hugging Face model folder has a config.json`, {
      cause: error,
    })
  }
  const type = typeof data === 'object' && data !== null && 'model_type' in data ? data.model_type : undefined
  if (type !== 'llama' && type !== 'qwen2' && type !== 'qwen3') {
    throw new BundleError(
      `${path}: model_type is ${JSON.stringify(type) ?? 'missing'}; only llama, qwen2 and qwen3 can be converted`,
    )
  }
  const parsed = configSchema.safeParse(data)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    throw new BundleError(`${path}: ${issue.path.join('.')}: ${issue.message}`)
  }
  const config = parsed.data
  const unsupported = unsupportedPart(config)
  if (unsupported) throw new BundleError(`${path}: ${unsupported}, which the graph cannot express yet`)
  const ropeTheta = config.rope_theta ?? config.rope_parameters?.rope_theta
  if (!ropeTheta) throw new BundleError(`${path}: rope_theta is missing`)
  const heads = config.num_attention_heads
  const kvHeads = config.num_key_value_heads ?? heads
  const headDim = config.head_dim ?? config.hidden_size / heads
  if (heads % kvHeads !== 0 || headDim % 2 !== 0) {
    throw new BundleError(`${path}: ${heads} heads of ${headDim} over ${kvHeads} key heads do not divide evenly`)
  }
  return {
    path,
    family: type,
    maxPositions: config.max_position_embeddings,
    tied: config.tie_word_embeddings,
    shape: {
      layers: config.num_hidden_layers,
      width: config.hidden_size,
      heads,
      kvHeads,
      headDim,
      mlp: config.intermediate_size,
      vocab: config.vocab_size,
      ropeTheta,
      normEps: config.rms_norm_eps,
    },
    infill: config.infill,
  }
}

function unsupportedPart(config: z.infer<typeof configSchema>): string | undefined {
  const ropeType = config.rope_parameters?.rope_type
  if (config.hidden_act !== 'silu') return `hidden_act is "${config.hidden_act}"`
  if (config.rope_scaling !== null && config.rope_scaling !== undefined) return 'rope_scaling is set'
  if (ropeType && ropeType !== 'default') return `rope_type is "${ropeType}"`
  if (config.attention_bias) return 'attention_bias is true'
  if (config.mlp_bias) return 'mlp_bias is true'
  if (config.use_sliding_window) return 'use_sliding_window is true'
  return undefined
}

/** What the files of most models cannot say. Names are those of `config.json`. */
const infillSchema = z.object({
  attention: z.enum(['causal-context', 'bidirectional']),
  logits_shift: z.union([z.literal(0), z.literal(1)]),
  mask_token_id: z.number().int().nonnegative(),
  end_token_ids: z.array(z.number().int().nonnegative()),
  expand_token_id: z.number().int().nonnegative().optional(),
  forbidden_token_ids: z.array(z.number().int().nonnegative()).default([]),
  document_start_id: z.number().int().nonnegative().optional(),
  length_mode: z.enum(['end-token', 'search', 'expand-delete']),
  canvas_sizes: z.array(size).min(1).default([8, 16, 24]),
  threshold: z.number().min(0).max(1).default(0.9),
  window: size.default(4),
  languages: z.array(z.string()).default([]),
  adapter: z.object({ rank: size, targets: z.array(z.string()) }).optional(),
  licence: z.string().default('unknown'),
  origin: z.string().default('unknown'),
})

export type InfillFacts = z.infer<typeof infillSchema>

const required = {
  attention: 'who sees whom (infill.attention)',
  logits_shift: 'which row scores a position (infill.logits_shift)',
  mask_token_id: 'the mask token (infill.mask_token_id)',
  end_token_ids: 'the end tokens (infill.end_token_ids)',
  length_mode: "how a middle's length is found (infill.length_mode)",
} as const

/**
 * @param given facts from elsewhere; they win over the file's.
 * @throws {BundleError} that names every fact still missing.
 */
export function infillFacts(config: ModelConfig, given: Partial<InfillFacts> = {}): InfillFacts {
  const fromFile = config.infill ?? {}
  if (typeof fromFile !== 'object' || Array.isArray(fromFile))
    throw new BundleError(`${config.path}: infill is no object`)
  const facts: Record<string, unknown> = { ...fromFile, ...given }
  const missing = Object.entries(required).flatMap(([key, text]) => (facts[key] === undefined ? [text] : []))
  if (missing.length) {
    throw new BundleError(
      `${config.path} does not say: ${missing.join(', ')}; a diffusion model needs these and they are never guessed`,
    )
  }
  const parsed = infillSchema.safeParse(facts)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  throw new BundleError(`${config.path}: infill.${issue.path.join('.')}: ${issue.message}`)
}

/** The sizes of a bundle's graph. Ids beyond the embedding are known by being named in the manifest. */
export function bundleShape(
  config: ModelConfig,
  manifest: Pick<Manifest, 'vocab' | 'maskId' | 'endIds' | 'expandId' | 'adapter'>,
): ModelShape {
  const { vocab } = config.shape
  const highest = Math.max(manifest.maskId, manifest.expandId ?? 0, ...manifest.endIds)
  return {
    ...config.shape,
    extraIds: Math.max(0, highest + 1 - vocab),
    extraHeadRows: manifest.vocab - vocab,
    adapterRank: manifest.adapter?.rank ?? 0,
  }
}
