/** How positions are rotated, as `config.json` says it: `rope_theta` and `rope_scaling`, or both in `rope_parameters`. */
import { z } from 'zod'
import { BundleError } from '../base/errors.ts'
import type { Rope, RopeScaling } from './rope.ts'

/** The part of `config.json` that says it; scalings are checked here. */
interface RopeConfig {
  readonly rope_theta?: number | null | undefined
  readonly rope_parameters?: Readonly<Record<string, unknown>> | null | undefined
  readonly rope_scaling?: Readonly<Record<string, unknown>> | null | undefined
  readonly max_position_embeddings: number
}

const positive = z.number().positive()
const scalingSchemas = {
  linear: z.object({ factor: positive }),
  llama3: z.object({
    factor: positive,
    low_freq_factor: positive,
    high_freq_factor: positive,
    original_max_position_embeddings: positive,
  }),
  yarn: z.object({
    factor: positive,
    beta_fast: positive.nullish(),
    beta_slow: positive.nullish(),
    original_max_position_embeddings: positive.nullish(),
    attention_factor: positive.nullish(),
    mscale: z.undefined().nullish(),
    truncate: z.literal(true).nullish(),
  }),
}

/** @throws {BundleError} when the base is missing, or the graph cannot express the scaling. */
export function readRope(config: RopeConfig, path: string): Rope {
  const given = config.rope_scaling ?? config.rope_parameters ?? {}
  const theta = config.rope_theta ?? config.rope_parameters?.rope_theta
  if (typeof theta !== 'number' || !(theta > 0)) throw new BundleError(`${path}: rope_theta is missing`)
  const kind = given.rope_type ?? given.type ?? 'default'
  if (kind === 'default') return { theta }
  const scaling = readScaling(kind, given, config.max_position_embeddings)
  if (scaling) return { theta, scaling }
  throw new BundleError(`${path}: rope_scaling is ${JSON.stringify(given)}, which the graph cannot express`)
}

function readScaling(kind: unknown, given: unknown, maxPositions: number): RopeScaling | undefined {
  switch (kind) {
    case 'linear': {
      const { data } = scalingSchemas.linear.safeParse(given)
      return data && { kind, factor: data.factor }
    }
    case 'llama3': {
      const { data } = scalingSchemas.llama3.safeParse(given)
      return (
        data && {
          kind,
          factor: data.factor,
          lowFrequencyFactor: data.low_freq_factor,
          highFrequencyFactor: data.high_freq_factor,
          originalLength: data.original_max_position_embeddings,
        }
      )
    }
    case 'yarn': {
      const { data } = scalingSchemas.yarn.safeParse(given)
      return (
        data && {
          kind,
          factor: data.factor,
          betaFast: data.beta_fast ?? 32,
          betaSlow: data.beta_slow ?? 1,
          originalLength: data.original_max_position_embeddings ?? maxPositions,
          amplitude: data.attention_factor ?? (data.factor <= 1 ? 1 : 0.1 * Math.log(data.factor) + 1),
        }
      )
    }
    default:
      return undefined
  }
}
