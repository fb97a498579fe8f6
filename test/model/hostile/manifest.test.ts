/** A lacuna.json or config.json that lies, with sizes and hashes that agree: refused as the bundle is opened. */
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Manifest } from '../../../server/model/manifest.ts'
import { openBundle, verifyBundle } from '../../../server/model/openBundle.ts'
import { editConfig, editManifest, expectRefusal, intactBundle, type Json, listing, rehash } from './hostileBundle.ts'

const file = (path: string) => ({ path, bytes: 1, sha256: '0'.repeat(64) })

test('the bundle these tests spoil is intact', async () => {
  const dir = await intactBundle()
  await rehash(dir)
  await openBundle(dir)
  expect((await verifyBundle(dir)).every(({ problem }) => problem === undefined)).toBe(true)
})

describe('lacuna.json says', () => {
  const lies: readonly (readonly [string, (manifest: Manifest & Json) => void, RegExp])[] = [
    ['another format', (m) => Object.assign(m, { format: 2 }), /lacuna\.json: format/],
    ['a field that is unknown', (m) => Object.assign(m, { onload: 'x' }), /Unrecognized key: "onload"/],
    [
      'a name with terminal commands',
      (m) => Object.assign(m, { name: '\u001b]0;x\u0007' }),
      /name: control characters/,
    ],
    ['a name of a megabyte', (m) => Object.assign(m, { name: 'n'.repeat(1e6) }), /lacuna\.json: name/],
    [
      'another family',
      (m) => Object.assign(m, { family: 'qwen3' }),
      /family is "qwen3", config\.json asks for "llama"/,
    ],
    ['more layers', (m) => Object.assign(m, { layers: 2 }), /layers is 2, config\.json asks for 1/],
    ['no layers', (m) => Object.assign(m, { layers: 0 }), /lacuna\.json: layers/],
    ['a billion layers', (m) => Object.assign(m, { layers: 1e9 }), /layers is 1000000000, config\.json asks for 1/],
    ['half a layer', (m) => Object.assign(m, { layers: 0.5 }), /lacuna\.json: layers/],
    ['other heads', (m) => Object.assign(m, { heads: 4 }), /heads is 4, config\.json asks for 2/],
    ['other key heads', (m) => Object.assign(m, { kvHeads: 2 }), /kvHeads is 2, config\.json asks for 1/],
    ['another head size', (m) => Object.assign(m, { headDim: 2 ** 40 }), /headDim is \d+, config\.json asks for 32/],
    ['another width', (m) => Object.assign(m, { width: 128 }), /width is 128, config\.json asks for 64/],
    ['another mlp', (m) => Object.assign(m, { mlp: 1 }), /mlp is 1, config\.json asks for 128/],
    ['an untied head', (m) => Object.assign(m, { tiedHead: false }), /onnx_data_1 has \d+ bytes, config\.json and/],
    ['another top k', (m) => Object.assign(m, { topK: 9 }), /topK is 9, config\.json asks for 8/],
    ['a smaller vocabulary', (m) => Object.assign(m, { vocab: 100, endIds: [1] }), /vocab is 100, wanted/],
    ['a larger vocabulary', (m) => Object.assign(m, { vocab: 5000 }), /vocab is 5000, wanted/],
    ['a vocabulary of 2^50', (m) => Object.assign(m, { vocab: 2 ** 50 }), /lacuna\.json: vocab/],
    ['another mask', (m) => Object.assign(m, { maskId: 100_000 }), /onnx_data_2 has \d+ bytes, config\.json and/],
    ['a mask of 2^50', (m) => Object.assign(m, { maskId: 2 ** 50 }), /lacuna\.json: maskId/],
    ['a negative mask', (m) => Object.assign(m, { maskId: -1 }), /lacuna\.json: maskId/],
    ['a mask that ends', (m) => Object.assign(m, { maskId: m.endIds[0] }), /is the mask and an end or expand token/],
    ['an end without a column', (m) => m.endIds.push(5000), /end or expand token 5000 is no column/],
    ['no end', (m) => Object.assign(m, { endIds: [] }), /end-token without an end token/],
    ['200,000 ends', (m) => Object.assign(m, { endIds: Array(200_000).fill(1) }), /endIds|more than 200000 values/],
    ['an expand token without a column', (m) => Object.assign(m, { expandId: 5000 }), /end or expand token 5000/],
    ['a start that is none', (m) => Object.assign(m, { documentStartId: 9000 }), /document start is token 9000/],
    ['a canvas of 2^40 slots', (m) => Object.assign(m, { canvasSizes: [2 ** 40] }), /lacuna\.json: canvasSizes\.0/],
    ['a canvas of no slots', (m) => Object.assign(m, { canvasSizes: [0] }), /lacuna\.json: canvasSizes\.0/],
    ['a threshold of 2', (m) => Object.assign(m, { threshold: 2 }), /lacuna\.json: threshold/],
    ['no positions', (m) => Object.assign(m, { maxPositions: 0 }), /lacuna\.json: maxPositions/],
    ['2^50 positions', (m) => Object.assign(m, { maxPositions: 2 ** 50 }), /lacuna\.json: maxPositions/],
    ['no context', (m) => Object.assign(m.contextBudget, { prefixTokens: 0 }), /contextBudget\.prefixTokens/],
    [
      'endless context',
      (m) => Object.assign(m.contextBudget, { suffixTokens: 2 ** 50 }),
      /contextBudget\.suffixTokens/,
    ],
    ['no adapter', (m) => delete (m as Json).adapter, /a graph in q4_1 is|has \d+ bytes, config\.json and/],
    ['an adapter of another rank', (m) => Object.assign(m.adapter!, { rank: 5 }), /onnx_data_2 has \d+ bytes/],
    ['an adapter of rank 2^40', (m) => Object.assign(m.adapter!, { rank: 2 ** 40 }), /onnx_data_2 has \d+ bytes/],
    ['other blocks', (m) => Object.assign(m.graphs[0]!, { quant: 'q4' }), /onnx_data has \d+ bytes, config\.json/],
    [
      'that blocks are floats',
      (m) => Object.assign(m.graphs[0]!, { quant: 'f32' }),
      /a graph in f32 is onnx\/model\.onnx/,
    ],
    ['another graph', (m) => Object.assign(m.graphs[0]!, { file: 'config.json' }), /must lie in|a graph in q4_1 is/],
    [
      'data in another order',
      (m) => m.graphs[0]!.externalData.reverse(),
      /a graph in q4_1 is onnx\/model_q4\.onnx with/,
    ],
    ['less data', (m) => m.graphs[0]!.externalData.pop(), /a graph in q4_1 is onnx\/model_q4\.onnx with/],
    ['the tokenizer is data', (m) => m.graphs[0]!.externalData.push('tokenizer.json'), /weights must lie in onnx\//],
    ['no graph', (m) => m.graphs.splice(0), /lacuna\.json: graphs/],
    ['no files', (m) => m.files.splice(0), /lacuna\.json does not list it/],
    ['a file twice', (m) => m.files.push(m.files[0]!), /files lists config\.json twice/],
    ['a file that climbs', (m) => m.files.push(file('../x')), /\.\.\/x|x: the path leaves the folder/],
    ['a file that climbs within', (m) => m.files.push(file('onnx/../../x')), /the path leaves the folder/],
    ['a file as on Windows', (m) => m.files.push(file('..\\x')), /the path leaves the folder/],
    ['a file without a name', (m) => m.files.push(file('')), /the path leaves the folder/],
    ['a file with a zero byte', (m) => m.files.push(file('x\0y')), /files\.\d+\.path: control characters/],
    ['a hash that is none', (m) => Object.assign(m.files[0]!, { sha256: 'x' }), /files\.0\.sha256/],
    ['a negative size', (m) => Object.assign(m.files[0]!, { bytes: -1 }), /files\.0\.bytes/],
    [
      'more bytes than are there',
      (m) => Object.assign(m.files[0]!, { bytes: 2 ** 50 }),
      /at most \d+ are read|bytes, lacuna/,
    ],
    ['that it is a list of lists', (m) => Object.assign(m, { endIds: [[1]] }), /lacuna\.json: endIds\.0/],
  ]
  test.each(lies)('%s', async (_, lie, message) => {
    const dir = await intactBundle()
    await editManifest(dir, lie)
    const before = await listing(join(dir, '..'))
    await expectRefusal(openBundle(dir), message)
    expect(await listing(join(dir, '..'))).toEqual(before)
  })

  const texts: readonly (readonly [string, (text: string) => string, RegExp])[] = [
    ['nothing', () => '', /lacuna\.json: Unexpected end/],
    ['null', () => 'null', /lacuna\.json: the file: /],
    ['a list', () => '[]', /lacuna\.json: the file: /],
    ['a field twice', (text) => text.replace('{', '{"vocab": 1, '), /"vocab" is there twice/],
    ['a field twice, once escaped', (text) => text.replace('{', '{"v\\u006fcab": 1, '), /"vocab" is there twice/],
    ['a byte order mark first', (text) => `\ufeff${text}`, /byte order mark/],
    ['brackets without end', () => '['.repeat(1_000_000), /nested deeper than 64/],
    ['UTF-16', (text) => Buffer.from(text, 'utf16le').toString('latin1'), /lacuna\.json: /],
    ['a prototype', (text) => text.replace('{', '{"__proto__": {"a": 1}, '), /Unrecognized key: "__proto__"/],
    ['numbers without end', (text) => text.replace('"layers"', '"layers": 1e999, "x"'), /lacuna\.json: /],
  ]
  test.each(texts)('%s', async (_, write, message) => {
    const dir = await intactBundle()
    const path = join(dir, 'lacuna.json')
    await writeFile(path, write(await readFile(path, 'utf8')))
    await expectRefusal(openBundle(dir), message)
    await expectRefusal(verifyBundle(dir), message)
  })

  test('a gigabyte', async () => {
    const dir = await intactBundle()
    await truncate(join(dir, 'lacuna.json'), 2 ** 30)
    const before = process.memoryUsage().rss
    await expectRefusal(openBundle(dir), /lacuna\.json: 1073741824 bytes, at most 4194304 are read/)
    expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000)
  })
})

describe('config.json says', () => {
  const lies: readonly (readonly [string, (config: Json) => void, RegExp])[] = [
    ['a width of 2^40', (c) => Object.assign(c, { hidden_size: 2 ** 40 }), /config\.json: hidden_size/],
    ['a billion layers', (c) => Object.assign(c, { num_hidden_layers: 1e9 }), /config\.json: num_hidden_layers/],
    [
      'an mlp of 2^30',
      (c) => Object.assign(c, { intermediate_size: 2 ** 30 }),
      /mlp is 128, config\.json asks for 1073741824/,
    ],
    ['a vocabulary of 2^22', (c) => Object.assign(c, { vocab_size: 2 ** 22 }), /vocab is \d+, wanted 4194304/],
    ['a vocabulary of 2^30', (c) => Object.assign(c, { vocab_size: 2 ** 30 }), /config\.json: vocab_size/],
    ['no heads', (c) => Object.assign(c, { num_attention_heads: 0 }), /config\.json: num_attention_heads/],
    ['a fraction of heads', (c) => Object.assign(c, { num_key_value_heads: 3 }), /do not divide evenly/],
    ['another family', (c) => Object.assign(c, { model_type: 'gpt2' }), /model_type is "gpt2"/],
    ['an inherited family', (c) => Object.assign(c, { model_type: 'toString' }), /model_type is "toString"/],
    [
      'another base of rotation',
      (c) => Object.assign(c, { rope_theta: 5 }),
      /not the graph that this version of Lacuna makes/,
    ],
    [
      'another epsilon',
      (c) => Object.assign(c, { rms_norm_eps: 0.5 }),
      /not the graph that this version of Lacuna makes/,
    ],
    ['a base of 1e999', (c) => Object.assign(c, { rope_theta: 'x' }), /config\.json: rope_theta/],
    ['biases', (c) => Object.assign(c, { attention_bias: true }), /onnx_data has \d+ bytes, config\.json and/],
  ]
  test.each(lies)('%s', async (_, lie, message) => {
    const dir = await intactBundle()
    await editConfig(dir, lie)
    await rehash(dir)
    await expectRefusal(openBundle(dir), message)
  })

  test('and lacuna.json agrees: sizes for which there are no weights', async () => {
    const dir = await intactBundle()
    await editConfig(dir, (config) => Object.assign(config, { intermediate_size: 2 ** 30, hidden_size: 2 ** 16 }))
    await editManifest(dir, (manifest) => Object.assign(manifest, { mlp: 2 ** 30, width: 2 ** 16 }))
    await rehash(dir)
    const before = process.memoryUsage().rss
    await expectRefusal(openBundle(dir), /has \d+ bytes, config\.json and lacuna\.json ask for/)
    expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000)
  })

  test('and lacuna.json agrees: rows that are no whole blocks', async () => {
    const dir = await intactBundle()
    await editConfig(dir, (config) => Object.assign(config, { intermediate_size: 130 }))
    await editManifest(dir, (manifest) => Object.assign(manifest, { mlp: 130 }))
    await rehash(dir)
    await expectRefusal(
      openBundle(dir),
      /q4_1 cannot hold layers\.0\.down\.quants, whose rows are no whole blocks of 32/,
    )
  })
})
