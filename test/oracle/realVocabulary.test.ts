/**
 * A vocabulary of real size, 151,936 ids: tokenizer, conversion, head and best ids. It takes a minute and 1 GB of disk, so
 * it runs only where it is asked for: `LACUNA_REAL_VOCABULARY=1 npx vitest run test/oracle/realVocabulary.test.ts`.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engineOptions } from '../../server/cli/openRooms.ts'
import type { Prediction } from '../../server/engine/engine.ts'
import { openOnnxEngine } from '../../server/engine/onnx/onnxEngine.ts'
import { convertModel } from '../../server/model/convert.ts'
import { floatBundle } from '../../server/model/dequantize.ts'
import { openBundle } from '../../server/model/openBundle.ts'
import { openSafetensors } from '../../server/model/safetensors.ts'
import { readTokenizer } from '../../server/model/tokenizer.ts'
import { counterIds } from './counterWeights.ts'
import { type FamilyModel, writeFamilyFolder } from './familyModels.ts'
import { qwen3Logits } from './realVocabularyReference.ts'

const vocab = 151_936
const [endId, maskId] = [vocab - 2, vocab - 1]
const config = {
  model_type: 'qwen3',
  hidden_size: 512,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 128,
  intermediate_size: 768,
  num_hidden_layers: 2,
  vocab_size: vocab,
  hidden_act: 'silu',
  max_position_embeddings: 40_960,
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
  tie_word_embeddings: true,
}

const layerTensors: readonly (readonly [string, number[]])[] = [
  ['input_layernorm', [512]],
  ['self_attn.q_proj', [512, 512]],
  ['self_attn.k_proj', [256, 512]],
  ['self_attn.v_proj', [256, 512]],
  ['self_attn.o_proj', [512, 512]],
  ['self_attn.q_norm', [128]],
  ['self_attn.k_norm', [128]],
  ['post_attention_layernorm', [512]],
  ['mlp.gate_proj', [768, 512]],
  ['mlp.up_proj', [768, 512]],
  ['mlp.down_proj', [512, 768]],
]

const model: FamilyModel = {
  name: 'real-vocabulary',
  of: 'Qwen3-0.6B, two layers of a quarter of its width',
  code: 'realVocabularyReference.ts',
  seed: 151,
  storage: 'BF16',
  shards: 1,
  facts: {
    attention: 'bidirectional',
    logits_shift: 0,
    mask_token_id: maskId,
    end_token_ids: [endId],
    length_mode: 'end-token',
  },
  config,
  checksum: 0,
  tensors: [
    ['model.embed_tokens.weight', [vocab, 512]],
    ...[0, 1].flatMap((layer) =>
      layerTensors.map(([name, dims]) => [`model.layers.${layer}.${name}.weight`, dims] as const),
    ),
    ['model.norm.weight', [512]],
  ],
}

const ids = [...counterIds(1, 'ids', 10, vocab - 2), maskId, maskId, endId, vocab - 3, 70_000, 65_536]
const asked = [3, 10, 11, 15]
const asking = process.env.LACUNA_REAL_VOCABULARY === '1'

if (!asking) process.stderr.write('real vocabulary: skipped, LACUNA_REAL_VOCABULARY is not 1\n')

describe.skipIf(!asking)('a vocabulary of 151,936 ids', () => {
  let root: string
  let wanted: Float64Array[]
  const say = (text: string) => process.stderr.write(`real vocabulary: ${text}\n`)
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'lacuna-vocabulary-'))
    await writeFamilyFolder(join(root, 'source'), model)
    const weights = await openSafetensors(join(root, 'source'), 'model')
    wanted = await qwen3Logits(weights, config, ids, asked)
    await weights.close()
  }, 300_000)
  afterAll(() => rm(root, { recursive: true, force: true }))

  test('is tokenized and put together again', async () => {
    const start = performance.now()
    const tokenizer = await readTokenizer(join(root, 'source'))
    say(`tokenizer loaded in ${(performance.now() - start).toFixed(0)} ms`)
    for (const text of [
      'def add(a, b):\n    return a + b\n',
      '\tcafé "日本" 🙂\r\n',
      'spelled <|mask|> and <|end|>',
      '',
    ]) {
      const encoded = tokenizer.encode(text)
      expect(tokenizer.decode(encoded)).toBe(text)
      expect(encoded.every((id) => id < endId)).toBe(true)
    }
    expect(tokenizer.tokenText(maskId)).toBe('')
    const [dashes, ...more] = tokenizer.encode('---') // one of the merges of three characters
    expect([more, tokenizer.tokenText(dashes!)]).toEqual([[], '---'])
    expect(dashes).toBeGreaterThan(65_536)
  })

  test.each([
    ['f32', 1e-3],
    ['q8', 0.3], // 8 bits of weights and of activations
  ] as const)(
    'in %s the best ids are those of a float64 network',
    async (quant, tolerance) => {
      const found = await convertAndStep(quant)
      const largest = Math.max(...wanted.map((logits, i) => compareRow(found, i, logits)))
      const same = wanted.filter((logits, i) => found.topIds[i]![0] === bestOf(logits)).length
      say(`${quant}: largest difference ${largest.toExponential(1)}, same best in ${same} of ${asked.length} rows`)
      expect(largest).toBeLessThan(tolerance)
      if (quant === 'f32') expect(same).toBe(asked.length)
    },
    300_000,
  )

  test('in q4 the best ids are those of the numbers its blocks stand for', async () => {
    const found = await convertAndStep('q4')
    await floatBundle(join(root, 'q4'), join(root, 'q4-floats'))
    const exact = await step(join(root, 'q4-floats'))
    let [largest, kept] = [0, 0]
    for (const [i, topIds] of exact.topIds.entries()) {
      largest = Math.max(largest, Math.abs(found.entropy[i]! - exact.entropy[i]!))
      largest = Math.max(largest, Math.abs(found.setLogProbs[i]! - exact.setLogProbs[i]!))
      for (const [k, id] of topIds.entries()) {
        const at = found.topIds[i]!.indexOf(id)
        if (at < 0) continue
        kept++
        largest = Math.max(largest, Math.abs(found.topLogProbs[i]![at]! - exact.topLogProbs[i]![k]!))
      }
    }
    const same = wanted.filter((logits, i) => found.topIds[i]![0] === bestOf(logits)).length
    say(
      `q4: largest difference from its own numbers ${largest.toExponential(1)}, ${kept} of ${8 * asked.length} among the ` +
        `8 best; same best as in float64 in ${same} of ${asked.length} rows`,
    )
    expect(largest).toBeLessThan(0.5)
    expect(kept).toBeGreaterThanOrEqual(6 * asked.length)
  }, 300_000)

  async function convertAndStep(quant: 'f32' | 'q8' | 'q4'): Promise<Prediction> {
    const start = performance.now()
    await convertModel(join(root, 'source'), join(root, quant), { quant, name: model.name, facts: model.facts })
    say(`${quant}: converted in ${(performance.now() - start).toFixed(0)} ms`)
    return step(join(root, quant))
  }

  async function step(dir: string): Promise<Prediction> {
    const bundle = await openBundle(dir)
    const start = performance.now()
    const engine = await openOnnxEngine(engineOptions(bundle, { deterministic: true }))
    try {
      const loaded = performance.now()
      const positions = ids.map((_, i) => i)
      const jobs = [{ ids, positions, context: [], asked, setIds: [endId, maskId] }]
      const [prediction] = await engine.step(jobs, new AbortController().signal)
      const times = [loaded - start, performance.now() - loaded].map((time) => `${time.toFixed(0)} ms`)
      say(`${basename(dir)}: load ${times[0]}, step of ${ids.length} rows ${times[1]}`)
      return prediction!
    } finally {
      await engine.close()
    }
  }
})

/** The largest difference of row `row`: log-probabilities of the best ids and of the set, entropy. */
function compareRow(
  { topIds, topLogProbs, entropy, setLogProbs }: Prediction,
  row: number,
  logits: Float64Array,
): number {
  const most = logits[bestOf(logits)]!
  const lse = most + Math.log(logits.reduce((total, logit) => total + Math.exp(logit - most), 0))
  const set = Math.log(Math.exp(logits[endId]! - lse) + Math.exp(logits[maskId]! - lse))
  const differences = [
    entropy[row]! - logits.reduce((total, logit) => total - Math.exp(logit - lse) * (logit - lse), 0),
    setLogProbs[row]! - set,
    ...topIds[row]!.map((id, k) => topLogProbs[row]![k]! - (logits[id]! - lse)),
    // None that is missing is better than the eighth.
    topLogProbs[row]!.at(-1)! - (logits.toSorted().at(-8)! - lse),
  ]
  return Math.max(...differences.map(Math.abs))
}

function bestOf(logits: Float64Array): number {
  let best = 0
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id
  return best
}
