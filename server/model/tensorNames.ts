/** How published models name their weights, beside how our graph does. */
import { type LinearGroup, linearGroups, type ModelShape } from './graph.ts'
import type { Naming } from './modelConfig.ts'

export interface TensorNames {
  readonly embedding: string
  readonly norm: string
  readonly head: string
  /** Of one layer, by what `graph.ts` calls it. */
  readonly layer: (layer: number) => {
    readonly prefix: string
    readonly norms: Readonly<Record<'input_layernorm' | 'post_attention_layernorm' | 'query_norm' | 'key_norm', string>>
    readonly groups: Readonly<Record<LinearGroup, readonly string[]>> // without ".weight" or ".bias"
  }
}

export function tensorNames(naming: Naming): TensorNames {
  switch (naming) {
    case 'transformers':
      return {
        embedding: 'model.embed_tokens.weight',
        norm: 'model.norm.weight',
        head: 'lm_head.weight',
        layer: (layer) => ({
          prefix: `model.layers.${layer}`,
          norms: {
            input_layernorm: 'input_layernorm.weight',
            post_attention_layernorm: 'post_attention_layernorm.weight',
            query_norm: 'self_attn.q_norm.weight',
            key_norm: 'self_attn.k_norm.weight',
          },
          groups: { qkv: parts('qkv'), o: parts('o'), gate_up: parts('gate_up'), down: parts('down') },
        }),
      }
    case 'llada': // Source: LLaDA `modeling_llada.py`, `LLaDALlamaBlock`
      return {
        embedding: 'model.transformer.wte.weight',
        norm: 'model.transformer.ln_f.weight',
        head: 'model.transformer.ff_out.weight',
        layer: (layer) => ({
          prefix: `model.transformer.blocks.${layer}`,
          norms: {
            input_layernorm: 'attn_norm.weight',
            post_attention_layernorm: 'ff_norm.weight',
            query_norm: 'q_norm.weight',
            key_norm: 'k_norm.weight',
          },
          groups: {
            qkv: ['q_proj', 'k_proj', 'v_proj'],
            o: ['attn_out'],
            gate_up: ['ff_proj', 'up_proj'],
            down: ['ff_out'],
          },
        }),
      }
  }
}

function parts(group: LinearGroup): readonly string[] {
  return linearGroups.find(({ name }) => name === group)!.parts
}

/** The norms of a layer, in the order they are stored. */
export function normNames({ queryKeyNorm }: ModelShape) {
  const always = ['input_layernorm', 'post_attention_layernorm'] as const
  return queryKeyNorm ? ([...always, 'query_norm', 'key_norm'] as const) : always
}
