import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { BundleError } from '../../server/base/errors.ts'
import { convertModel } from '../../server/model/convert.ts'
import { floatBundle } from '../../server/model/dequantize.ts'
import { layoutBundle } from '../../server/model/layout.ts'
import type { Manifest } from '../../server/model/manifest.ts'
import { openBundle, verifyBundle } from '../../server/model/openBundle.ts'
import { readTokenizer } from '../../server/model/tokenizer.ts'
import { randomBundle, randomFolder } from './randomBundle.ts'
import { temporaryFolder } from './temporaryFolder.ts'
import { safetensorsBytes } from './writeSafetensors.ts'

test('a folder becomes a bundle that opens and verifies', async () => {
  const dir = await temporaryFolder()
  const source = join(dir, 'source')
  await randomFolder(source, {}, 1)
  const seen: number[] = []
  const report = await convertModel(
    source,
    join(dir, 'q4'),
    { quant: 'q4', name: 'random' },
    ({ doneBytes, totalBytes }) => {
      seen.push(doneBytes / totalBytes)
    },
  )

  expect(report.blocks).toBeGreaterThan(1000)
  expect(report.exactBlocks).toBe(report.blocks)
  expect(seen).toEqual([...seen].sort((a, b) => a - b))
  expect(seen.at(-1)).toBe(1)

  const bundle = await openBundle(join(dir, 'q4'))
  const tokenizer = await readTokenizer(bundle.dir)
  const text = 'def add(self):\n    return "é" <|im_end|>'
  expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
  const vocab = tokenizer.vocabularySize
  expect(bundle.manifest).toEqual(report.manifest)
  expect(bundle.manifest).toMatchObject({
    name: 'random',
    family: 'llama',
    vocab: vocab + 1,
    maskId: vocab + 1,
    endIds: [vocab],
    topK: 8,
    contextBudget: { prefixTokens: 512, suffixTokens: 64 },
    adapter: { rank: 4 },
  })
  expect(bundle.manifest.files.map(({ path }) => path)).toEqual([
    'config.json',
    'onnx/model_q4.onnx',
    'onnx/model_q4.onnx_data',
    'onnx/model_q4.onnx_data_1',
    'onnx/model_q4.onnx_data_2',
    'tokenizer.json',
  ])
  const verdicts = await verifyBundle(join(dir, 'q4'))
  expect(verdicts.map(({ problem }) => problem)).toEqual(verdicts.map(() => undefined))
  const left = await readdir(join(dir, 'q4'), { recursive: true })
  expect(left.filter((name) => name.endsWith('.part'))).toEqual([])
})

test('a bundle may be written into its own source folder', async () => {
  const dir = await temporaryFolder()
  await randomFolder(dir, {}, 2)
  await convertModel(dir, dir, { quant: 'q4' })
  await openBundle(dir)
})

test('files of somebody else are not replaced, nor is anything written beside them', async () => {
  const dir = await temporaryFolder()
  const [source, project] = [join(dir, 'source'), join(dir, 'project')]
  await randomFolder(source, { layers: 1 }, 5)
  await mkdir(project)
  await writeFile(join(project, 'config.json'), '{"mine":1}')
  await expect(convertModel(source, project, { quant: 'q4' })).rejects.toThrow(
    /project\/config\.json: not this model's, and the bundle would replace it; choose an empty folder/,
  )
  expect(await readdir(project)).toEqual(['config.json'])
  expect(await readFile(join(project, 'config.json'), 'utf8')).toBe('{"mine":1}')
})

test('float weights rebuilt from 4 bits are those that were published', async () => {
  const dir = await temporaryFolder()
  const bundles = await randomBundle(dir, {}, 3)
  await floatBundle(bundles.q4, join(dir, 'rebuilt'))
  expect((await openBundle(join(dir, 'rebuilt'))).manifest).toEqual((await openBundle(bundles.f32)).manifest)
})

test('ONNX Runtime says the same of the 4-bit and of the float bundle', async () => {
  const bundles = await randomBundle(await temporaryFolder(), {}, 4)
  const quantised = await logits(bundles.q4, 1)
  const float = await logits(bundles.f32, 1)
  const largest = quantised.reduce((max, value, i) => Math.max(max, Math.abs(value - float[i]!)), 0)
  process.stderr.write(`4 bits against float32: largest difference of a logit ${largest.toFixed(3)}\n`)
  expect(largest).toBeLessThan(1) // logits here spread over ±25; activations are rounded to 8 bits

  const unadapted = await logits(bundles.f32, 0)
  expect(unadapted.some((value, i) => Math.abs(value - float[i]!) > 1)).toBe(true)
})

test('a model without an adapter has two data files', async () => {
  const dir = await temporaryFolder()
  const bundles = await randomBundle(dir, { adapterRank: 0 }, 5)
  const { graph, manifest } = await openBundle(bundles.q4)
  expect(graph.externalData).toEqual(['onnx/model_q4.onnx_data', 'onnx/model_q4.onnx_data_1'])
  expect(manifest.adapter).toBeUndefined()
  expect((await logits(bundles.q4, 0)).every(Number.isFinite)).toBe(true)
})

test('weights lie at multiples of 64 bytes and do not overlap', () => {
  const sizes = { layers: 2, width: 64, heads: 2, kvHeads: 1, headDim: 32, mlp: 96, vocab: 51 }
  const network = {
    rope: { theta: 1e4 },
    normEps: 1e-5,
    queryKeyNorm: true,
    biases: ['qkv', 'o'],
    tiedHead: false,
  } as const
  const shape = { ...sizes, ...network, extraIds: 2, extraHeadRows: 1, adapterRank: 3 }
  for (const storage of ['q4_1', 'q4', 'q8', 'f32'] as const) {
    const { tensors, files } = layoutBundle(shape, storage)
    const ends = new Map<string, number>()
    for (const { file, offset, length } of tensors.values()) {
      expect(offset % 64).toBe(0)
      expect(offset).toBeGreaterThanOrEqual(ends.get(file) ?? 0)
      ends.set(file, offset + length)
    }
    expect(files.map(({ name, bytes }) => [name, bytes])).toEqual([...ends])
  }
})

describe('what cannot be converted is refused and leaves nothing behind', () => {
  type Json = Record<string, unknown>
  const cases: readonly (readonly [string, (config: Json, infill: Json) => void, string])[] = [
    [
      'another family',
      (config) => Object.assign(config, { model_type: 'gpt2' }),
      'model_type is "gpt2"; what can be converted is llama',
    ],
    ['no family', (config) => delete config.model_type, 'model_type is missing'],
    [
      'rope scaling of another kind',
      (config) => Object.assign(config, { rope_scaling: { type: 'longrope' } }),
      'rope_scaling is {"type":"longrope"}',
    ],
    [
      'block-causal models',
      (config) => Object.assign(config, { model_type: 'sdar' }),
      'block-causal: earlier blocks cannot see',
    ],
    [
      'models without a mask',
      (config) => Object.assign(config, { model_type: 'diffusion_gemma' }),
      'uniform-state model',
    ],
    [
      'attention bias',
      (config) => Object.assign(config, { attention_bias: true }),
      'q_proj.bias: wanted [64], found none',
    ],
    ['another activation', (config) => Object.assign(config, { hidden_act: 'gelu' }), 'hidden_act is "gelu"'],
    ['an untied head', (config) => Object.assign(config, { tie_word_embeddings: false }), 'no tensor lm_head.weight'],
    ['a missing size', (config) => delete config.hidden_size, 'hidden_size'],
    ['other sizes', (config) => Object.assign(config, { intermediate_size: 96 }), 'wanted [96,64], found [128,64]'],
    [
      'no facts',
      (config) => delete config.infill,
      'does not say: who sees whom (--attention causal-context|bidirectional), which row scores',
    ],
    ['no mask', (_, infill) => delete infill.mask_token_id, 'does not say: the mask token (--mask-id N);'],
    [
      'a mask beyond the embedding',
      (_, infill) => Object.assign(infill, { mask_token_id: 9999 }),
      'the mask token is 9999',
    ],
    [
      'an end token beyond the head',
      (_, infill) => Object.assign(infill, { end_token_ids: [infill.mask_token_id] }),
      'an end token is',
    ],
    [
      'an attention kind unknown',
      (_, infill) => Object.assign(infill, { attention: 'block-causal' }),
      'infill.attention',
    ],
  ]
  test.each(cases)('%s', async (_, spoil, message) => {
    const dir = await temporaryFolder()
    await randomFolder(join(dir, 'source'), { layers: 1 }, 6)
    const config = JSON.parse(await readFile(join(dir, 'source/config.json'), 'utf8'))
    spoil(config, config.infill)
    await writeFile(join(dir, 'source/config.json'), JSON.stringify(config))
    const converted = convertModel(join(dir, 'source'), join(dir, 'out'), { quant: 'q4' })
    await expect(converted).rejects.toThrow(message)
    await expect(converted).rejects.toBeInstanceOf(BundleError)
    expect(await readdir(dir)).toEqual(['source'])
  })

  test('a tensor without a place in the graph', async () => {
    const dir = await temporaryFolder()
    await randomFolder(dir, { layers: 1, adapterRank: 0 }, 6)
    const extra = new Map([
      ['model.layers.0.self_attn.q_norm.weight', { type: 'F32', dims: [2], data: new Float32Array(2) } as const],
    ])
    await writeFile(join(dir, 'extra.safetensors'), safetensorsBytes(extra))
    const names = ['model.safetensors', 'extra.safetensors'] as const
    await mkdir(join(dir, 'sharded'))
    for (const name of names)
      await writeFile(join(dir, 'sharded', name.replace('model.', 'main.')), await readFile(join(dir, name)))
    for (const name of ['config.json', 'tokenizer.json'])
      await writeFile(join(dir, 'sharded', name), await readFile(join(dir, name)))
    const weight_map = {
      'model.norm.weight': 'main.safetensors',
      'model.layers.0.self_attn.q_norm.weight': 'extra.safetensors',
    }
    await writeFile(join(dir, 'sharded/model.safetensors.index.json'), JSON.stringify({ weight_map }))
    const converted = convertModel(join(dir, 'sharded'), join(dir, 'out'), { quant: 'q4' })
    await expect(converted).rejects.toThrow('tensor model.layers.0.self_attn.q_norm.weight has no place in the graph')
  })

  test('weights that are no numbers, over an older bundle, which stays', async () => {
    const dir = await temporaryFolder()
    const { source, q4 } = await randomBundle(dir, { layers: 1 }, 7)
    const weights = await readFile(join(source, 'model.safetensors'))
    weights.fill(0xff, weights.length - 64) // NaN, in the last matrix
    await writeFile(join(source, 'model.safetensors'), weights)
    await expect(convertModel(source, q4, { quant: 'q4' })).rejects.toThrow(
      /tensor model\.layers\.0\.mlp\.down_proj\.weight, rows from 0 on: weight block \d+ holds NaN/,
    )
    await expect(convertModel(source, join(dir, 'float'), { quant: 'f32' })).rejects.toThrow(
      /tensor model\.layers\.0\.mlp\.down_proj\.weight: value \d+ is NaN/,
    )
    await openBundle(q4)
    expect((await readdir(q4, { recursive: true })).filter((name) => name.endsWith('.part'))).toEqual([])
  })

  test('facts may be given beside config.json', async () => {
    const dir = await temporaryFolder()
    await randomFolder(dir, { layers: 1, adapterRank: 0 }, 8)
    const config = JSON.parse(await readFile(join(dir, 'config.json'), 'utf8'))
    const { infill, ...bare } = config
    await writeFile(join(dir, 'config.json'), JSON.stringify(bare))
    const facts = { ...infill, attention: 'bidirectional', logits_shift: 0 }
    const { manifest } = await convertModel(dir, join(dir, 'out'), { quant: 'q4', facts })
    expect(manifest).toMatchObject({
      attention: 'bidirectional',
      logitsShift: 0,
      name: 'out',
    } satisfies Partial<Manifest>)
  })
})

/** Logits of all rows of one canvas without context. */
async function logits(dir: string, denoising: 0 | 1): Promise<Float32Array> {
  const { graphPath, manifest } = await openBundle(dir)
  const session = await ort.InferenceSession.create(graphPath, {
    intraOpNumThreads: 1,
    executionMode: 'sequential',
    logSeverityLevel: 3,
  })
  const ids = [0, 70, 104, 35, 259, manifest.endIds[0]!, manifest.maskId, manifest.maskId]
  const count = ids.length
  const int64 = (values: readonly number[], dims: readonly number[]) =>
    new ort.Tensor('int64', BigInt64Array.from(values, BigInt), dims)
  const rows = ids.map((_, row) => row)
  const feeds: Record<string, ort.Tensor> = {
    input_ids: int64(ids, [1, count]),
    position_ids: int64(rows, [1, count]),
    past_position_ids: int64([], [1, 0]),
    attention_bias: new ort.Tensor('float32', new Float32Array(count * count), [1, 1, count, count]),
    rows: int64(rows, [1, count]),
    score_ids: int64(
      ids.map(() => 5),
      [1, count],
    ),
    set_ids: int64([1, 2], [2]),
  }
  if (manifest.adapter) feeds.denoising = new ort.Tensor('float32', new Float32Array(count).fill(denoising), [1, count])
  for (let layer = 0; layer < manifest.layers; layer++) {
    for (const part of ['key', 'value']) {
      feeds[`past.${layer}.${part}`] = new ort.Tensor('float32', new Float32Array(0), [
        1,
        manifest.kvHeads,
        0,
        manifest.headDim,
      ])
    }
  }
  const result = await session.run(feeds, ['logits'])
  const values = Float32Array.from(result.logits!.data as Float32Array)
  await session.release()
  expect(values).toHaveLength(count * manifest.vocab)
  return values
}
