/** What is known of public models, from folders with their `config.json` and special tokens, as their code has them. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type InfillFacts, infillFacts } from '../../server/model/infillFacts.ts'
import { readModelConfig } from '../../server/model/modelConfig.ts'
import { madeTokenizer } from '../../server/model/qwenTokenizer.ts'
import { readSpecialTokens } from '../../server/model/specialTokens.ts'
import { temporaryFolder } from './temporaryFolder.ts'

interface Folder {
  readonly name: string
  readonly config: Record<string, unknown>
  readonly added?: Record<string, number>
  readonly tokenizerConfig?: Record<string, unknown>
}

const sizes = {
  ...{ hidden_size: 64, intermediate_size: 64, num_attention_heads: 2, num_hidden_layers: 1, num_key_value_heads: 1 },
  ...{ vocab_size: 151936, max_position_embeddings: 4096, rms_norm_eps: 1e-6, rope_theta: 1e6 },
}

async function factsOf({ name, config, added = {}, tokenizerConfig }: Folder, given: Partial<InfillFacts> = {}) {
  const dir = join(await temporaryFolder(), name)
  await mkdir(dir)
  const tokens = Object.entries(added).map(([content, id]) => ({ content, id }))
  const tokenizer = { added_tokens: tokens, model: { type: 'BPE', vocab: { a: 0, b: 151642 }, merges: [] } }
  await writeFile(join(dir, 'config.json'), JSON.stringify(config))
  await writeFile(join(dir, 'tokenizer.json'), JSON.stringify(tokenizer))
  if (tokenizerConfig) await writeFile(join(dir, 'tokenizer_config.json'), JSON.stringify(tokenizerConfig))
  const read = await readSpecialTokens(dir, await madeTokenizer(dir))
  return infillFacts(await readModelConfig(dir), read, name, given)
}

const qwenTokens = { '<|endoftext|>': 151643, '<|im_start|>': 151644, '<|im_end|>': 151645 }
const roles = { eos_token: '<|endoftext|>', pad_token: '<|endoftext|>' }

describe('public models', () => {
  const full = { attention: 'bidirectional', length_mode: 'search' }
  const dream = { ...sizes, model_type: 'Dream', mask_token_id: 151666, vocab_size: 152064 }
  const cases: readonly [string, Folder, Record<string, unknown>][] = [
    [
      'CoDA: ends as its generation code knows them, a licence that must be shown',
      {
        name: 'CoDA-v0-Instruct',
        config: { ...sizes, model_type: 'CoDA', mask_token_id: 151669, pad_token_id: 151643 },
        added: { ...qwenTokens, '<|mask|>': 151669 },
        tokenizerConfig: { ...roles, eos_token: '<|im_end|>' },
      },
      { ...full, logits_shift: 1, mask_token_id: 151669, end_token_ids: [151645, 151643], licence: 'cc-by-nc-4.0' },
    ],
    [
      'Dream-Coder',
      { name: 'Dream-Coder-v0-Base-7B', config: dream, added: qwenTokens, tokenizerConfig: roles },
      { ...full, logits_shift: 1, mask_token_id: 151666, end_token_ids: [151643] },
    ],
    [
      'DreamOn, which expands and deletes',
      { name: 'DreamOn-v0-7B', config: dream, added: qwenTokens, tokenizerConfig: roles },
      { ...full, logits_shift: 1, mask_token_id: 151666, length_mode: 'expand-delete', expand_token_id: 151667 },
    ],
    [
      'Open-dCoder, by its mask token <M>',
      {
        name: 'open-dcoder-0.5B',
        config: { ...sizes, model_type: 'qwen2', eos_token_id: 151643 },
        added: { ...qwenTokens, '<M>': 151665 },
        tokenizerConfig: { ...roles, mask_token: { content: '<M>', special: true } },
      },
      { ...full, logits_shift: 1, mask_token_id: 151665 },
    ],
    [
      'mdlm of dllm-hub, by name',
      {
        name: 'Qwen3-0.6B-diffusion-mdlm-v0.1',
        config: { ...sizes, model_type: 'a2d-qwen3' },
        added: { ...qwenTokens, '<|mask|>': 151669 },
        tokenizerConfig: { ...roles, mask_token: '<|mask|>' },
      },
      { ...full, logits_shift: 0, mask_token_id: 151669, end_token_ids: [151643] },
    ],
    [
      'LLaDA',
      {
        name: 'LLaDA-8B-Base',
        config: {
          ...{ model_type: 'llada', d_model: 64, n_heads: 2, n_kv_heads: 2, n_layers: 1, mlp_hidden_size: 64 },
          ...{ embedding_size: 126464, vocab_size: 126464, max_sequence_length: 4096, rms_norm_eps: 1e-5 },
          ...{ rope: true, rope_theta: 500000, block_type: 'llama', activation_type: 'silu', layer_norm_type: 'rms' },
          ...{ weight_tying: false, mask_token_id: 126336, eos_token_id: 126081, pad_token_id: 126081 },
        },
      },
      { ...full, logits_shift: 0, mask_token_id: 126336, end_token_ids: [126081] },
    ],
  ]
  test.each(cases)('%s', async (_, folder, wanted) => expect(await factsOf(folder)).toMatchObject(wanted))

  test('ids that stand for no text are never committed: added tokens, and columns beyond the tokenizer', async () => {
    const { forbidden_token_ids: forbidden } = await factsOf(cases[0]![1])
    expect(forbidden).toContain(151644)
    expect(forbidden).toContain(151669)
    expect(forbidden.filter((id) => id > 151669)).toHaveLength(151936 - 151670)
    for (const id of [0, 151642, 151643, 151645]) expect(forbidden).not.toContain(id)
  })
})

describe('what cannot be known is not guessed', () => {
  const a2d = { name: 'mine', config: { ...sizes, model_type: 'a2d-qwen2' }, added: qwenTokens, tokenizerConfig: roles }
  test('a model of dllm without mdlm or bd3lm in its name', async () => {
    await expect(factsOf(a2d)).rejects.toThrow(
      'does not say: who sees whom (--attention causal-context|bidirectional), which row scores a position (--shift 0|1), the mask token (--mask-id N), how a middle',
    )
  })
  test('what is said by hand fills in, and wins', async () => {
    const given = { attention: 'bidirectional', logits_shift: 1, mask_token_id: 9, length_mode: 'search' } as const
    expect(await factsOf(a2d, given)).toMatchObject({ ...given, end_token_ids: [151643] })
  })
  test('block diffusion is refused, unless the one who converts knows better', async () => {
    const bd3lm = { ...a2d, name: 'Qwen2.5-Coder-0.5B-diffusion-bd3lm-v0.1' }
    await expect(factsOf(bd3lm)).rejects.toThrow('block-causal: earlier blocks cannot see the code after the cursor')
    const given = { attention: 'bidirectional', logits_shift: 0, mask_token_id: 9, length_mode: 'search' } as const
    expect(await factsOf(bd3lm, given)).toMatchObject(given)
  })
  test('a plain autoregressive model', async () => {
    await expect(
      factsOf({ name: 'Qwen2.5-Coder-0.5B', config: { ...sizes, model_type: 'qwen2' }, added: qwenTokens }),
    ).rejects.toThrow('never guessed')
  })
})
