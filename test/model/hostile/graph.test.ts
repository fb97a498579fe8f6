/**
 * Graphs that no Lacuna wrote, and weights that are no numbers, with hashes that agree. A graph can hang a pass for
 * ever, ask for a terabyte or end the process by a division by zero, so none of them may reach ONNX Runtime.
 */
import { spawn } from 'node:child_process'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { EngineError } from '../../../server/base/errors.ts'
import { openRooms } from '../../../server/cli/openRooms.ts'
import { toHalves } from '../../../server/model/float16.ts'
import { buildGraph } from '../../../server/model/graph.ts'
import { layoutBundle } from '../../../server/model/layout.ts'
import { readManifest } from '../../../server/model/manifest.ts'
import { bundleShape, readModelConfig } from '../../../server/model/modelConfig.ts'
import { GraphBuilder } from '../../../server/model/onnxProto.ts'
import { openBundle, verifyBundle } from '../../../server/model/openBundle.ts'
import { fillGap } from '../../../server/session/fillGap.ts'
import { askedFor, type Filled } from '../../../server/session/gaps.ts'
import { expectRefusal, intactBundle, rehash } from './hostileBundle.ts'

const graphFile = 'onnx/model_q4.onnx'
const data = 'onnx/model_q4.onnx_data'

async function shapeOf(dir: string) {
  return bundleShape(await readModelConfig(dir), await readManifest(dir))
}

/** One input, one output, and whatever is between. */
function graphOf(between: (g: GraphBuilder, x: string) => string): Uint8Array {
  const g = new GraphBuilder()
  const y = between(g, g.input({ name: 'input_ids', type: 'float32', dims: ['B', 'Q'] }))
  g.output({ name: 'logits', type: 'float32', dims: ['B', 'R'] }, y)
  return g.finish('lacuna')
}
const reading = (file: string, offset: number, count: number) =>
  graphOf((g, x) =>
    g.op('Add', [x, g.stored('w', { type: 'float32', dims: [count], file, offset, length: count * 4 })]),
  )

const graphs: readonly (readonly [string, (dir: string) => Promise<Uint8Array> | Uint8Array])[] = [
  ['nothing', () => new Uint8Array(0)],
  ['garbage', () => Uint8Array.from({ length: 5000 }, (_, i) => (i * 7919) % 251)],
  ['other inputs and outputs', () => graphOf((g, x) => g.op('Neg', [x]))],
  ['a cycle', () => graphOf((g) => g.op('Neg', [g.op('Neg', ['Neg_1'])]))],
  [
    'a constant of 2^40 elements',
    () => graphOf((g, x) => g.op('Add', [x, g.op('ConstantOfShape', [g.int64([2 ** 40])])])),
  ],
  ['a copy 2^62 times as large', () => graphOf((g, x) => g.op('Tile', [x, g.int64([2 ** 62])]))],
  [
    '100,000 operators in a row',
    () =>
      graphOf((g, x) =>
        Array(100_000)
          .fill('Neg')
          .reduce((y, op) => g.op(op, [y]), x),
      ),
  ],
  ['weights beyond the end of the file', () => reading('model_q4.onnx_data', 1e12, 16)],
  ['weights before its beginning', () => reading('model_q4.onnx_data', -64, 16)],
  ['more weights than the file has', () => reading('model_q4.onnx_data', 0, 2 ** 40)],
  ['weights from outside the folder', () => reading('../../secret', 0, 4)],
  ['weights from an absolute path', () => reading('/etc/passwd', 0, 4)],
  ['weights from a device', () => reading('/dev/zero', 0, 4)],
  ['weights from the tokenizer', () => reading('../tokenizer.json', 0, 4)],
  [
    'one layer more',
    async (dir) => {
      const shape = { ...(await shapeOf(dir)), layers: 2 }
      return buildGraph(shape, layoutBundle(shape, 'q4_1').tensors)
    },
  ],
  [
    'another epsilon',
    async (dir) => {
      const shape = { ...(await shapeOf(dir)), normEps: 1e-6 }
      return buildGraph(shape, layoutBundle(shape, 'q4_1').tensors)
    },
  ],
  [
    'the adapter for all rows, always',
    async (dir) => {
      const shape = await shapeOf(dir)
      const { tensors } = layoutBundle(shape, 'q4_1')
      return buildGraph({ ...shape, adapterRank: 0 }, tensors)
    },
  ],
  [
    'one bit changed',
    async (dir) => {
      const bytes = await readFile(join(dir, graphFile))
      bytes[bytes.length >> 1]! ^= 1
      return bytes
    },
  ],
  ['a byte more', async (dir) => Buffer.concat([await readFile(join(dir, graphFile)), Buffer.of(0)])],
]

describe('a graph with', () => {
  test.each(graphs)('%s', async (_, make) => {
    const dir = await intactBundle()
    await writeFile(join(dir, graphFile), await make(dir))
    await rehash(dir)
    const message =
      /model_q4\.onnx: not the graph that this version of Lacuna makes of config\.json and lacuna\.json; run/
    await expectRefusal(openBundle(dir), message)
    await expectRefusal(openRooms(dir), message)
    const problems = (await verifyBundle(dir)).flatMap(({ path, problem }) => (problem ? [path] : []))
    expect(problems).toEqual([graphFile])
  })

  test('the right bytes is what the builder makes', async () => {
    const dir = await intactBundle()
    const shape = await shapeOf(dir)
    expect(Buffer.from(buildGraph(shape, layoutBundle(shape, 'q4_1').tensors))).toEqual(
      await readFile(join(dir, graphFile)),
    )
  })

  test('a table for a network as wide as the file is short is never built', async () => {
    // Block sums of q4_1 grow with the square of the width: 2^17 columns would take 2 GiB before anything is compared.
    const dir = await intactBundle()
    await writeFile(join(dir, graphFile), 'short')
    const edit = async (name: string, change: object): Promise<void> => {
      const path = join(dir, name)
      await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), ...change }))
    }
    await edit('config.json', { intermediate_size: 2 ** 17 })
    await edit('lacuna.json', { mlp: 2 ** 17 })
    const layout = layoutBundle(await shapeOf(dir), 'q4_1')
    for (const { name, bytes } of layout.files) await writeFile(join(dir, 'onnx', name), new Uint8Array(bytes))
    await rehash(dir)
    const before = process.memoryUsage().rss
    await expectRefusal(openBundle(dir), /not the graph that this version/)
    expect(process.memoryUsage().rss - before).toBeLessThan(300_000_000)
  })
})

/** All of a kind of weight becomes `value`. */
async function fill(dir: string, ending: string, value: number): Promise<void> {
  const { tensors } = layoutBundle(await shapeOf(dir), 'q4_1')
  for (const [name, { type, file, offset, length }] of tensors) {
    if (!name.endsWith(ending)) continue
    const path = join(dir, 'onnx', file)
    const bytes = await readFile(path)
    const values =
      type === 'float32' ? new Float32Array(length / 4).fill(value) : toHalves(new Float32Array(length / 2).fill(value))
    bytes.set(new Uint8Array(values.buffer), offset)
    await writeFile(path, bytes)
  }
  await rehash(dir)
}

describe('weights that are no numbers do no harm', () => {
  const cases = ['norm.weight', '.scales', '.minimums', 'embedding.extra', 'lora_A'].flatMap((name) =>
    [Number.NaN, Number.POSITIVE_INFINITY, 65504].map((value) => [name, value] as const),
  )
  test.each(cases)('%s: %d', async (name, value) => {
    const dir = await intactBundle()
    await fill(dir, name, value)
    const rooms = await openRooms(dir, { cache: true, threads: 1 })
    try {
      const request = { text: 'def f(x):\n    return\n', offset: 20, scope: 'line', maxTokens: 16 } as const
      const outcome = await fillGap(rooms, { ...request, certainty: askedFor }, new AbortController().signal).catch(
        (error: unknown) => error,
      )
      if (outcome instanceof Error) {
        expect(outcome).toBeInstanceOf(EngineError)
        expect(outcome.message).toMatch(/NaN/)
        return
      }
      const { probabilities } = outcome as Filled
      expect(probabilities.filter(Number.isNaN), 'NaN is not below any threshold').toEqual([])
    } finally {
      await rooms.close()
    }
  })
})

/** The built program, as a person runs it. */
async function complete(
  dir: string,
): Promise<{ code: number | null; signal: string | null; out: string; err: string }> {
  const main = join(import.meta.dirname, '../../../dist/main.js')
  const child = spawn(process.execPath, [main, 'complete', '-:2:12', '--model', dir], { stdio: 'pipe' })
  const printed = { out: '', err: '' }
  child.stdout.on('data', (text) => void (printed.out += text))
  child.stderr.on('data', (text) => void (printed.err += text))
  child.stdin.on('error', () => {}) // it may end before it has read
  child.stdin.end('def f(x):\n    return \n')
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.once('close', (...how) => resolve(how)),
  )
  return { code, signal, ...printed }
}

describe('the program ends with code 2 and one line', () => {
  const cases: readonly (readonly [string, (dir: string) => Promise<void>])[] = [
    ['a graph that is none', (dir) => writeFile(join(dir, graphFile), 'x').then(() => rehash(dir))],
    [
      'weights that lie elsewhere',
      (dir) => writeFile(join(dir, graphFile), reading('/etc/passwd', 0, 4)).then(() => rehash(dir)),
    ],
    ['data that is longer', (dir) => appendFile(join(dir, data), 'x').then(() => rehash(dir))],
    ['a manifest of brackets', (dir) => writeFile(join(dir, 'lacuna.json'), '['.repeat(1_000_000))],
  ]
  test.each(cases)('%s', async (_, spoil) => {
    const dir = await intactBundle()
    await spoil(dir)
    const { code, signal, out, err } = await complete(dir)
    expect({ code, signal, out }, err).toEqual({ code: 2, signal: null, out: '' })
    expect(err).toMatch(/^lacuna: [^\n]+; [^\n]+\n$/)
  })

  test('and with 0 where nothing is wrong', async () => {
    const { code, err } = await complete(await intactBundle())
    expect(code, err).toBe(0)
  })
})
