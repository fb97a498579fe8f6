/**
 * What the network's sizes do not say: who sees whom, the mask token, the logits shift, how lengths are found. Each fact
 * comes from the first of: the person converting, `infill` in `config.json`, the table of known models, the files. What
 * none of them says is asked for, never guessed.
 */
import { z } from 'zod'
import { BundleError } from '../base/errors.ts'
import { knownModel } from './knownModels.ts'
import type { ModelConfig } from './modelConfig.ts'
import type { SpecialTokens } from './specialTokens.ts'

const tokenId = z.number().int().nonnegative()
const count = z.number().int().positive()

/** Names are those of `config.json`, key `infill`. */
const infillSchema = z.object({
  attention: z.enum(['causal-context', 'bidirectional']),
  logits_shift: z.union([z.literal(0), z.literal(1)]),
  mask_token_id: tokenId,
  end_token_ids: z.array(tokenId),
  expand_token_id: tokenId.optional(),
  forbidden_token_ids: z.array(tokenId).default([]),
  document_start_id: tokenId.optional(),
  length_mode: z.enum(['end-token', 'search', 'expand-delete']),
  canvas_sizes: z.array(count).min(1).default([8, 16, 24]),
  drafting: z.strictObject({ distance: count, slots: count, open: count, begun: z.int().min(0).default(0) }).optional(),
  threshold: z.number().min(0).max(1).default(0.9),
  window: count.default(4),
  languages: z.array(z.string()).default([]),
  adapter: z.object({ rank: count, targets: z.array(z.string()) }).optional(),
  licence: z.string().default('unknown'),
  origin: z.string().default('unknown'),
})

export type InfillFacts = z.infer<typeof infillSchema>

/** What must be said, in words, and the option of `lacuna model convert` that says it. */
const required = {
  attention: 'who sees whom (--attention causal-context|bidirectional)',
  logits_shift: 'which row scores a position (--shift 0|1)',
  mask_token_id: 'the mask token (--mask-id N)',
  end_token_ids: 'the end tokens (--end-id N)',
  length_mode: "how a middle's length is found (--length-mode end-token|search|expand-delete)",
} as const

/**
 * @param given what the person converting says.
 * @param name of the folder or repository, which sometimes alone tells kinds apart.
 * @throws {BundleError} that names every fact still missing, or why the model is of no use here.
 */
export function infillFacts(
  config: ModelConfig,
  tokens: SpecialTokens,
  name: string,
  given: Partial<InfillFacts> = {},
): InfillFacts {
  const own = config.data.infill ?? {}
  if (typeof own !== 'object' || Array.isArray(own)) throw new BundleError(`${config.path}: infill is no object`)
  const known = knownModel(config, tokens, name)
  if (known?.refused !== undefined && given.attention === undefined)
    throw new BundleError(`${config.path}: this looks like ${known.title}; ${known.refused}; it cannot be converted`)
  const facts: Record<string, unknown> = {
    ...fromFiles(config, tokens, Object.hasOwn(own, 'attention')),
    ...known?.facts,
    ...own,
    ...given,
  }
  const missing = Object.entries(required).flatMap(([key, text]) => (facts[key] === undefined ? [text] : []))
  if (missing.length) {
    throw new BundleError(
      `${config.path} does not say: ${missing.join(', ')}; a diffusion model needs these and they are never guessed`,
    )
  }
  const parsed = infillSchema.safeParse(facts)
  if (parsed.success) {
    const { end_token_ids, expand_token_id, forbidden_token_ids } = parsed.data
    const wanted = new Set([...end_token_ids, expand_token_id])
    return { ...parsed.data, forbidden_token_ids: forbidden_token_ids.filter((id) => !wanted.has(id)) }
  }
  const issue = parsed.error.issues[0]!
  throw new BundleError(`${config.path}: infill.${issue.path.join('.')}: ${issue.message}`)
}

/** @param complete that the model brings an `infill` of its own, whose lists are to be left as they are. */
function fromFiles(config: ModelConfig, tokens: SpecialTokens, complete: boolean): Record<string, unknown> {
  if (complete) return {}
  const id = (value: unknown): number | undefined => {
    const parsed = tokenId.safeParse(Array.isArray(value) ? value[0] : value)
    return parsed.success ? parsed.data : undefined
  }
  const mask = id(config.data.mask_token_id) ?? tokens.roles.mask
  const ends = [id(config.data.eos_token_id) ?? tokens.roles.eos, id(config.data.pad_token_id) ?? tokens.roles.pad]
  const endIds = [...new Set(ends.filter((end) => end !== undefined))]
  // Columns of the head beyond the tokenizer stand for no text, nor do control tokens.
  const { vocab } = config.shape
  const unused = Array.from({ length: Math.max(0, vocab - tokens.idCount) }, (_, i) => tokens.idCount + i)
  const forbidden = [...new Set([...tokens.added.values(), ...unused])].filter((token) => token < vocab)
  return {
    ...(mask !== undefined && { mask_token_id: mask }),
    ...(endIds.length > 0 && { end_token_ids: endIds }),
    forbidden_token_ids: forbidden.sort((a, b) => a - b),
  }
}
