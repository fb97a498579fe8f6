/** What a pass is given to compute: on a small random bundle, through a session that notes the columns it is fed. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as ort from 'onnxruntime-node'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { engineOptions } from '../../server/cli/openRooms.ts'
import { openCarrier } from '../../server/engine/onnx/devicePast.ts'
import { runsOf, type Segment } from '../../server/engine/onnx/encodings.ts'
import { type GroupResult, PassRunner, type RowGroup } from '../../server/engine/onnx/pass.ts'
import type { EngineOptions } from '../../server/engine/onnx/protocol.ts'
import { openBundle } from '../../server/model/openBundle.ts'
import { randomBundle } from '../model/randomBundle.ts'
import { range, someIds } from './engine.case.ts'

let root: string
let session: ort.InferenceSession
let options: EngineOptions
let columns: number[]
let shapes: string[] // sequences × rows
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'lacuna-pass-'))
  const bundle = await openBundle((await randomBundle(root, {}, 7)).f32)
  options = engineOptions(bundle, { deterministic: true })
  session = await ort.InferenceSession.create(bundle.graphPath, { intraOpNumThreads: 1, logSeverityLevel: 3 })
})
afterAll(async () => {
  await session?.release()
  await rm(root, { recursive: true, force: true })
})

function openRunner(): PassRunner {
  columns = []
  shapes = []
  const run = (feeds: ort.InferenceSession.FeedsType, fetches: string[]) => {
    columns.push((feeds.past_position_ids as ort.Tensor).dims[1]!)
    shapes.push((feeds.input_ids as ort.Tensor).dims.join(' × '))
    return session.run(feeds, fetches)
  }
  const noting = { run } as ort.InferenceSession
  return new PassRunner({ text: noting, canvas: noting }, options)
}

const alone = (count: number): RowGroup => ({
  ...{ ids: someIds(count, count, 200), positions: range(0, count), runs: [], firstPositions: [] },
  ...{ kind: 'canvas', askedRows: [count - 1], scoreIds: undefined, logits: false, keep: [{ first: 0, count }] },
})

async function read(runner: PassRunner, count: number): Promise<Segment> {
  const [result] = await runner.run([alone(count)], [])
  const { keys, values } = result!.kept[0]!
  return { parent: undefined, parentRows: 0, ownRows: count, keys, values }
}

const over = (segment: Segment, count: number): RowGroup => ({
  ...alone(count),
  ...{
    positions: range(segment.ownRows, count),
    runs: runsOf(segment, segment.ownRows),
    firstPositions: [0],
    keep: [],
  },
})

test('rows that see no context are computed without columns, and take no other context out of its buffer', async () => {
  const runner = openRunner()
  const contexts = [await read(runner, 100), await read(runner, 90), await read(runner, 80)]
  for (const context of contexts) await runner.run([over(context, 5)], [])
  await read(runner, 100)
  expect(columns).toEqual([0, 0, 0, 128, 128, 128, 0])
})

test('what a buffer holds a copy of may be forgotten', async () => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const runner = openRunner()
  const use = async () => {
    const segment = await read(runner, 100)
    await runner.run([over(segment, 5)], [])
    return new WeakRef(segment)
  }
  const used = await use()
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  expect(used.deref()).toBeUndefined()
})

test('where text and canvases have a session each, a pass over both answers what it would in one', async () => {
  const fed: string[] = []
  const onlyFor = (kind: 'text' | 'canvas') => {
    const run = (feeds: ort.InferenceSession.FeedsType, fetches: string[]) => {
      const count = feeds.input_ids!.dims[1]!
      fed.push(`${kind} ${count}, gate ${'denoising' in feeds}`)
      const gate = new ort.Tensor('float32', new Float32Array(count).fill(kind === 'canvas' ? 1 : 0), [1, count])
      return session.run({ ...feeds, denoising: gate }, fetches)
    }
    return { run } as ort.InferenceSession
  }
  const runner = openRunner()
  const segment = await read(runner, 40)
  const groups: RowGroup[] = [
    { ...over(segment, 5), keep: [{ first: 1, count: 2 }] },
    { ...over(segment, 3), kind: 'text', keep: [{ first: 0, count: 3 }] },
    over(segment, 7),
    { ...over(segment, 2), kind: 'text', askedRows: [] },
  ]
  const wanted = await runner.run(groups, [5, 7])
  const split = new PassRunner({ text: onlyFor('text'), canvas: onlyFor('canvas') }, options)
  const found = await split.run(groups, [5, 7])
  expect(fed).toEqual(['text 5, gate false', 'canvas 12, gate false'])
  expect(found).toHaveLength(groups.length)
  for (const [i, result] of found.entries()) expectSame(result, wanted[i]!)
  fed.length = 0
  await split.run(groups.slice(0, 1), [])
  expect(fed).toEqual(['canvas 5, gate false'])
})

test('contexts with nothing in common are sequences of a batch; whatever shares one shares a sequence', async () => {
  const runner = openRunner()
  const contexts = [await read(runner, 100), await read(runner, 30), await read(runner, 70)]
  const groups: RowGroup[] = [
    { ...over(contexts[0]!, 5), keep: [{ first: 1, count: 2 }], scoreIds: [7] },
    { ...over(contexts[1]!, 8), askedRows: [2, 7], keep: [{ first: 0, count: 8 }] },
    over(contexts[2]!, 7),
    { ...over(contexts[0]!, 3), kind: 'text', keep: [{ first: 0, count: 3 }] },
    alone(6),
  ]
  const wanted: GroupResult[] = []
  for (const group of groups) wanted.push(...(await runner.run([group], [5, 7])))
  for (const order of [
    [0, 1, 2, 3, 4],
    [4, 2, 3, 1, 0],
  ]) {
    shapes.length = 0
    const found = await runner.run(
      order.map((i) => groups[i]!),
      [5, 7],
    )
    expect(shapes).toEqual(['4 × 8'])
    for (const [at, i] of order.entries()) expectSame(found[at]!, wanted[i]!)
  }
  shapes.length = 0
  const [one, other] = await runner.run([groups[2]!, groups[1]!], [5, 7])
  expect(shapes).toEqual(['2 × 8'])
  expectSame(one!, wanted[2]!)
  expectSame(other!, wanted[1]!)
})

test('the same context at another position is another sequence', async () => {
  const runner = openRunner()
  const context = await read(runner, 20)
  const moved = (group: RowGroup): RowGroup => ({
    ...group,
    positions: group.positions.map((position) => position + 9),
    firstPositions: [9],
  })
  const groups = [over(context, 4), moved(over(context, 4))]
  shapes.length = 0
  const together = await runner.run(groups, [])
  expect(shapes).toEqual(['2 × 4'])
  for (const [i, group] of groups.entries()) expectSame(together[i]!, (await runner.run([group], []))[0]!)
})

test('where most rows of a batch would be none, each context has a pass of its own', async () => {
  const runner = openRunner()
  const contexts = [await read(runner, 10), await read(runner, 12), await read(runner, 14)]
  const groups = [over(contexts[0]!, 30), over(contexts[1]!, 2), over(contexts[2]!, 2)]
  shapes.length = 0
  const found = await runner.run(groups, [])
  expect(shapes).toEqual(['1 × 30', '1 × 2', '1 × 2'])
  for (const [i, group] of groups.entries()) expectSame(found[i]!, (await runner.run([group], []))[0]!)
})

test('a context is carried to the device once, and again when something else lies beside it', async () => {
  const carrier = await openCarrier(options, { intraOpNumThreads: 1, logSeverityLevel: 3 })
  let carried = 0
  const run = (feeds: ort.InferenceSession.FeedsType) => {
    carried++
    return carrier.run(feeds)
  }
  const counting = { run } as ort.InferenceSession
  const [keeping, plain] = [
    new PassRunner({ text: session, canvas: session, carrier: counting }, options),
    openRunner(),
  ]
  const [first, second, other] = [await read(plain, 60), await read(plain, 30), await read(plain, 300)]
  expect(carried).toBe(0)
  const expected = async (groups: RowGroup[], times: number) => {
    const found = await keeping.run(groups, [5, 7])
    for (const [i, wanted] of (await plain.run(groups, [5, 7])).entries()) expectSame(found[i]!, wanted)
    expect(carried).toBe(times)
  }
  const both = { ...over(second, 4), runs: [first, second].flatMap((one) => runsOf(one, one.ownRows)) }
  await expected([over(first, 5)], 1)
  await expected([over(first, 7)], 1)
  await expected([{ ...both, firstPositions: [0, 60] }], 2) // written beside it, in a buffer that grows
  await expected([over(first, 5)], 2)
  await expected([alone(3)], 2) // nothing to carry
  await expected([over(first, 5), over(other, 5)], 2) // of several contexts none stays
  await expected([over(other, 5)], 3) // another buffer
  await expected([over(first, 5)], 4)
  await carrier.release()
})

function expectSame(found: GroupResult, wanted: GroupResult): void {
  expect(found.prediction.topIds).toEqual(wanted.prediction.topIds)
  for (const part of ['topLogProbs', 'entropy', 'setLogProbs', 'scoreLogProbs'] as const)
    expectClose(found.prediction[part].flat(), wanted.prediction[part].flat())
  expectClose(floatsOf(found), floatsOf(wanted))
}

function floatsOf({ kept }: GroupResult): number[] {
  return kept.flatMap(({ keys, values }) => [...keys, ...values].flatMap((one) => [...one]))
}

function expectClose(found: readonly number[], wanted: readonly number[]): void {
  expect(found).toHaveLength(wanted.length)
  const apart = found.map((value, i) => (value === wanted[i] ? 0 : Math.abs(value - wanted[i]!)))
  expect(Math.max(0, ...apart)).toBeLessThan(1e-4)
}
