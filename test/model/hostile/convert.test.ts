/** Hostile Hugging Face folders: `lacuna model convert` refuses each, and writes nothing but into its own folder. */
import { execFileSync } from 'node:child_process'
import { mkdir, open, readdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { convertModel } from '../../../server/model/convert.ts'
import { openBundle } from '../../../server/model/openBundle.ts'
import { randomFolder } from '../randomBundle.ts'
import { temporaryFolder } from '../temporaryFolder.ts'
import type { TensorData } from '../writeSafetensors.ts'
import { editConfig, editJson, expectRefusal, type Json, listing } from './hostileBundle.ts'

let files: ReadonlyMap<string, Buffer> | undefined

/** A small intact folder, as the hub has them; made once in a process. */
async function intactFolder(): Promise<string> {
  const root = await temporaryFolder()
  const dir = join(root, 'source')
  if (!files) {
    await randomFolder(join(root, 'made'), { layers: 1 }, 29)
    const read = async (name: string) => [name, await readFile(join(root, 'made', name))] as const
    files = new Map(await Promise.all((await readdir(join(root, 'made'))).map(read)))
    await rm(join(root, 'made'), { recursive: true })
  }
  await mkdir(dir)
  for (const [name, bytes] of files) await writeFile(join(dir, name), bytes)
  return dir
}

const convert = (dir: string, out = join(dir, '../out')) => convertModel(dir, out, { quant: 'q4' })

/** Where the bytes of a tensor begin. */
async function placeOf(
  path: string,
  tensor: string,
): Promise<{ offset: number; type: TensorData['type']; bytes: number }> {
  const bytes = await readFile(path)
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString())
  const [start, end] = header[tensor].data_offsets
  return { offset: 8 + length + start, type: header[tensor].dtype, bytes: end - start }
}

async function setNumber(path: string, tensor: string, value: number): Promise<void> {
  const { offset, type } = await placeOf(path, tensor)
  const number = Buffer.alloc(type === 'F32' ? 4 : 2)
  if (type === 'F32') number.writeFloatLE(value)
  else number.writeUInt16LE(Number.isNaN(value) ? 0x7e00 : value < 0 ? 0xfc00 : 0x7c00)
  const file = await open(path, 'r+')
  await file.write(number, 0, number.length, offset)
  await file.close()
}

/** Names of all files below a folder, which need not be there. */
async function filesIn(dir: string): Promise<string[]> {
  await mkdir(dir, { recursive: true })
  return (await readdir(dir, { recursive: true, withFileTypes: true })).flatMap((entry) =>
    entry.isDirectory() ? [] : [entry.name],
  )
}

test('the folder these tests spoil is intact', async () => {
  const dir = await intactFolder()
  await convert(dir)
  await openBundle(join(dir, '../out'))
})

describe('config.json', () => {
  const lies: readonly (readonly [string, (config: Json) => void, RegExp])[] = [
    ['a width of 2^40', (c) => Object.assign(c, { hidden_size: 2 ** 40 }), /config\.json: hidden_size/],
    [
      'a width of 50,000',
      (c) => Object.assign(c, { hidden_size: 50_000 }),
      /wanted \[\d+,50000\], found \[\d+,64\]|no whole blocks/,
    ],
    ['a billion layers', (c) => Object.assign(c, { num_hidden_layers: 1e9 }), /config\.json: num_hidden_layers/],
    [
      'a thousand layers',
      (c) => Object.assign(c, { num_hidden_layers: 1000 }),
      /model\.layers\.1\.\S+: wanted .*found none/,
    ],
    [
      'a vocabulary of 2^31, whose unused ids would be listed',
      (c) => Object.assign(c, { vocab_size: 2 ** 31, infill: { ...(c.infill as Json), attention: undefined } }),
      /config\.json: vocab_size/,
    ],
    ['a vocabulary of 2^60', (c) => Object.assign(c, { vocab_size: 2 ** 60 }), /config\.json: vocab_size/],
    ['heads without end', (c) => Object.assign(c, { num_attention_heads: 1e9 }), /config\.json: num_attention_heads/],
    ['a fraction of a layer', (c) => Object.assign(c, { num_hidden_layers: 1.5 }), /config\.json: num_hidden_layers/],
    ['layers as text', (c) => Object.assign(c, { num_hidden_layers: '1' }), /config\.json: num_hidden_layers/],
    ['no epsilon', (c) => Object.assign(c, { rms_norm_eps: 0 }), /config\.json: rms_norm_eps/],
    [
      'a refusal that is inherited',
      (c) => Object.assign(c, { model_type: 'constructor' }),
      /"constructor"; what can be/,
    ],
    ['a family that is inherited', (c) => Object.assign(c, { model_type: '__proto__' }), /model_type is "__proto__"/],
    [
      'terminal commands as family',
      (c) => Object.assign(c, { model_type: '\u001b[2J\n' }),
      /model_type is "\\u001b\[2J\\n"/,
    ],
    ['a mask of 2^50', (c) => Object.assign(c.infill as Json, { mask_token_id: 2 ** 50 }), /mask/],
    [
      'an adapter that is not there',
      (c) => Object.assign(c.infill as Json, { adapter: { rank: 9, targets: [] } }),
      /wanted \[9,/,
    ],
    [
      'an adapter of rank 2^50',
      (c) => Object.assign(c.infill as Json, { adapter: { rank: 2 ** 50, targets: [] } }),
      /wanted|rank/,
    ],
    ['a canvas of 2^40 slots', (c) => Object.assign(c.infill as Json, { canvas_sizes: [2 ** 40] }), /canvas_?[sS]izes/],
    ['facts that are a list', (c) => Object.assign(c, { infill: [] }), /infill is no object/],
  ]
  test.each(lies)('%s', async (_, lie, message) => {
    const dir = await intactFolder()
    await editConfig(dir, lie)
    const before = await listing(join(dir, '..'))
    await expectRefusal(convert(dir), message)
    expect(await listing(join(dir, '..'))).toEqual(before)
  })

  test.each([
    ['brackets without end', () => '['.repeat(1_000_000), /config\.json: nested deeper than 64/],
    [
      'a field twice',
      (text: string) => text.replace('{', '{"vocab_size":1,'),
      /config\.json: "vocab_size" is there twice/,
    ],
    ['a byte order mark', (text: string) => `\ufeff${text}`, /config\.json: .*byte order mark/],
    ['text with terminal commands', () => '\u001b[2J\n\n', /config\.json: /],
    ['a list', () => '[]', /config\.json: /],
  ])('%s', async (_, write, message) => {
    const dir = await intactFolder()
    const path = join(dir, 'config.json')
    await writeFile(path, write(await readFile(path, 'utf8')))
    await expectRefusal(convert(dir), message)
  })

  test('a gigabyte', async () => {
    const dir = await intactFolder()
    await truncate(join(dir, 'config.json'), 2 ** 30)
    const before = process.memoryUsage().rss
    await expectRefusal(convert(dir), /config\.json: 1073741824 bytes, at most/)
    expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000)
  })
})

describe('beside config.json', () => {
  test('a tokenizer that no bundle can have is refused before any work', async () => {
    const dir = await intactFolder()
    await editJson(join(dir, 'tokenizer.json'), (json: { model: Json }) => void (json.model.type = 'WordPiece'))
    const before = await listing(join(dir, '..'))
    await expectRefusal(convert(dir), /tokenizer\.json: model\.type is WordPiece, wanted BPE; this model cannot be/)
    expect(await listing(join(dir, '..'))).toEqual(before)
  })

  test('a model card of 5 GiB', async () => {
    const dir = await intactFolder()
    await writeFile(join(dir, 'README.md'), '')
    await truncate(join(dir, 'README.md'), 5 * 2 ** 30)
    await expectRefusal(convert(dir), /README\.md: 5368709120 bytes, at most/)
  })
})

describe('weights', () => {
  const linear = 'model.layers.0.mlp.down_proj.weight'
  const names = ['model.embed_tokens.weight', 'model.norm.weight', 'model.layers.0.input_layernorm.weight', linear]
  const cases = names.flatMap((name) => [Number.NaN, Number.NEGATIVE_INFINITY].map((value) => [value, name] as const))
  test.each(cases)('%d in %s', async (value, name) => {
    const dir = await intactFolder()
    await setNumber(join(dir, 'model.safetensors'), name, value)
    await expectRefusal(convert(dir), /(NaN|nfinite|Infinity)/)
    await expectRefusal(convertModel(dir, join(dir, '../out'), { quant: 'f32' }), /(NaN|nfinite|Infinity)/)
    expect(await filesIn(join(dir, '../out'))).toEqual([])
  })

  test.each([
    'model.embed_tokens.extra.weight',
    'lm_head.extra.weight',
    `${linear.replace('.weight', '')}.lora_A.weight`,
  ])('NaN in the adapter: %s', async (name) => {
    const dir = await intactFolder()
    await setNumber(join(dir, 'adapter_model.safetensors'), name, Number.NaN)
    await expectRefusal(convert(dir), /(NaN|half precision)/)
    expect(await filesIn(join(dir, '../out'))).toEqual([])
  })

  test.each(['I32', 'U32'])('of the type %s', async (type) => {
    const dir = await intactFolder()
    const path = join(dir, 'model.safetensors')
    const bytes = await readFile(path)
    const at = bytes.indexOf('"F32"')
    bytes.write(`"${type}"`, at)
    await writeFile(path, bytes)
    await expectRefusal(convert(dir), new RegExp(`is ${type}; weights are read from F32, F16 or BF16`))
    expect(await filesIn(join(dir, '../out'))).toEqual([])
  })

  test('cut short', async () => {
    const dir = await intactFolder()
    const path = join(dir, 'model.safetensors')
    await truncate(path, (await readFile(path)).length - 1)
    await expectRefusal(convert(dir), /model\.safetensors: tensor \S+ ends at byte/)
  })
})

describe.skipIf(process.platform === 'win32')('links in the folder do not lead the converter out of it', () => {
  const written = ['onnx', 'lacuna.json', 'lacuna.json.part']
  const parts = ['model_q4.onnx', 'model_q4.onnx_data', 'model_q4.onnx_data_1'].flatMap((name) => [
    `onnx/${name}`,
    `onnx/${name}.part`,
  ])
  test.each([...written, ...parts])('%s', async (name) => {
    const dir = await intactFolder()
    const outside = join(dir, '../outside')
    await mkdir(outside)
    await writeFile(join(outside, 'precious'), 'precious')
    if (name !== 'onnx') await mkdir(join(dir, 'onnx'))
    await symlink(name === 'onnx' ? outside : join(outside, 'precious'), join(dir, name))
    try {
      await convert(dir, dir)
      await openBundle(dir)
    } catch (error) {
      await expectRefusal(Promise.reject(error), /link/)
    }
    expect(await readdir(outside)).toEqual(['precious'])
    expect(await readFile(join(outside, 'precious'), 'utf8')).toBe('precious')
  })

  test('a half-made bundle of another maker is not trusted', async () => {
    const dir = await intactFolder()
    await convert(dir)
    const made = await readFile(join(dir, '../out/onnx/model_q4.onnx_data'))
    await rename(join(dir, '../out'), join(dir, '../first'))
    await mkdir(join(dir, '../out/onnx'), { recursive: true })
    await writeFile(join(dir, '../out/onnx/model_q4.onnx_data.part'), Buffer.alloc(made.length, 0xff))
    await convert(dir)
    expect(Buffer.compare(await readFile(join(dir, '../out/onnx/model_q4.onnx_data')), made)).toBe(0)
  })
})

// Last: a read of a FIFO that is waited for keeps one of the few threads that files are read with.
describe.skipIf(process.platform === 'win32')('in place of a file', () => {
  const needed = ['config.json', 'tokenizer.json', 'model.safetensors', 'adapter_model.safetensors']
  test.each(needed)('a FIFO: %s', async (name) => {
    const dir = await intactFolder()
    await rm(join(dir, name))
    execFileSync('mkfifo', [join(dir, name)])
    await expectRefusal(convert(dir), name)
  })

  test.each([...needed, 'tokenizer_config.json', 'generation_config.json'])('a folder: %s', async (name) => {
    const dir = await intactFolder()
    await rm(join(dir, name), { force: true })
    await mkdir(join(dir, name))
    // Those that a folder need not have are passed over, the others are missed.
    if (needed.includes(name)) await expectRefusal(convert(dir), name)
    else await convert(dir).catch((error) => expectRefusal(Promise.reject(error), name))
  })

  test.each(['tokenizer_config.json', 'generation_config.json', 'README.md'])(
    'a FIFO does not hang: %s',
    async (name) => {
      const dir = await intactFolder()
      execFileSync('mkfifo', [join(dir, name)])
      await convert(dir).catch((error) => expectRefusal(Promise.reject(error), name))
    },
  )
})
