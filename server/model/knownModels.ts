/**
 * What is known of public diffusion coders and cannot be read from their files. A row matches by `model_type` and, where
 * that says too little, by a special token or by the repository's name; the first that matches counts.
 *
 * Sources: the models' own code and cards, as collected in the project's survey of diffusion models (November 2026).
 */
import type { InfillFacts } from './infillFacts.ts'
import type { ModelConfig } from './modelConfig.ts'
import type { SpecialTokens } from './specialTokens.ts'

export interface KnownModel {
  readonly title: string
  readonly facts: Partial<InfillFacts>
  /** Why it cannot be used at all. */
  readonly refused?: string
}

interface Row extends KnownModel {
  readonly types: readonly string[]
  readonly name?: RegExp // tested against the folder's or repository's name
  readonly token?: string // among its added tokens
}

const full = { attention: 'bidirectional', length_mode: 'search' } as const

const rows: readonly Row[] = [
  {
    title: 'CoDA',
    types: ['CoDA'],
    facts: {
      ...full,
      logits_shift: 1,
      end_token_ids: [151645, 151643],
      licence: 'cc-by-nc-4.0',
      origin: 'Salesforce/CoDA-v0',
    },
  },
  {
    title: 'DreamOn',
    types: ['Dream'],
    name: /dreamon/i,
    facts: { ...full, length_mode: 'expand-delete', logits_shift: 1, expand_token_id: 151667 },
  },
  { title: 'Dream, Dream-Coder, DiffuCoder', types: ['Dream'], facts: { ...full, logits_shift: 1 } },
  {
    title: 'block diffusion (bd3lm) of dllm-hub',
    types: ['a2d-llama', 'a2d-qwen2', 'a2d-qwen3'],
    name: /bd3lm/i,
    facts: {},
    refused: 'it is block-causal: earlier blocks cannot see the code after the cursor',
  },
  {
    title: 'masked diffusion (mdlm) of dllm-hub',
    types: ['a2d-llama', 'a2d-qwen2', 'a2d-qwen3'],
    name: /mdlm/i,
    facts: { ...full, logits_shift: 0 },
  },
  { title: 'Open-dCoder', types: ['qwen2'], token: '<M>', facts: { ...full, logits_shift: 1 } },
  { title: 'LLaDA', types: ['llada'], facts: { ...full, logits_shift: 0 } },
]

export function knownModel(config: ModelConfig, tokens: SpecialTokens, name: string): KnownModel | undefined {
  return rows.find(
    (row) =>
      row.types.includes(config.modelType) &&
      (row.name === undefined || row.name.test(name)) &&
      (row.token === undefined || tokens.added.has(row.token)),
  )
}
