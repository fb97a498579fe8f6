/** The `onnx` engine on small random bundles: the suite, and what only this engine promises. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Aborted, BundleError } from '../../server/base/errors.ts'
import { engineOptions } from '../../server/cli/openRooms.ts'
import type { StepJob } from '../../server/engine/engine.ts'
import { type OnnxEngine, openOnnxEngine } from '../../server/engine/onnx/onnxEngine.ts'
import { openBundle } from '../../server/model/openBundle.ts'
import { type RandomBundle, randomBundle } from '../model/randomBundle.ts'
import { differenceOf, type EngineUnderTest, range, runEngineSuite, someIds } from './engine.case.ts'
import { openUnderTest, providerUnderTest } from './providerUnderTest.ts'

let root: string
const bundles = new Map<string, Promise<RandomBundle>>()
const never = new AbortController().signal

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'lacuna-engine-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const bundleOf = (logitsShift: 0 | 1, adapterRank: number): Promise<RandomBundle> => {
  const key = `${logitsShift}-${adapterRank}`
  const made = bundles.get(key) ?? randomBundle(join(root, key), { logitsShift, adapterRank }, 7)
  bundles.set(key, made)
  return made
}

async function open(quant: 'f32' | 'q4', logitsShift: 0 | 1, adapterRank: number) {
  const bundle = await openBundle((await bundleOf(logitsShift, adapterRank))[quant])
  const options = engineOptions(bundle, { deterministic: true })
  return { engine: await openUnderTest(options), ...options, maskId: bundle.manifest.maskId }
}

runEngineSuite({ name: 'onnx, float32, shift 1, adapter', open: () => open('f32', 1, 4) })
runEngineSuite({ name: 'onnx, float32, shift 0, no adapter', open: () => open('f32', 0, 0) })
runEngineSuite({ name: 'onnx, 4 bits, shift 1, adapter', open: () => open('q4', 1, 4), roundsActivations: true })
runEngineSuite({ name: 'onnx, 4 bits, shift 0, no adapter', open: () => open('q4', 0, 0), roundsActivations: true })

test('corrects the shift inside: the row that scores p with shift 1 scores p−1 with shift 0', async () => {
  const [plain, shifted] = [await open('f32', 0, 4), await open('f32', 1, 4)]
  const sequence = someIds(1, 50, 200)
  const ask = async ({ engine }: EngineUnderTest, asked: number[]) => {
    const [prefix] = await engine.encode([{ ids: sequence }], never)
    const [prediction] = await engine.step(
      [
        {
          ids: someIds(2, 9, 200),
          positions: range(50, 9),
          context: [{ id: prefix!.id, rows: 50, firstPosition: 0 }],
          asked,
          setIds: [9],
        },
      ],
      never,
    )
    return prediction!
  }
  const wanted = await ask(plain, range(50, 9))
  expect(differenceOf(await ask(shifted, range(51, 9)), wanted)).toBeLessThan(1e-5)
  expect(differenceOf(await ask(shifted, range(50 + 1, 3)), await ask(plain, range(50 + 1, 3)))).toBeGreaterThan(1e-2)
  await Promise.all([plain.engine.close(), shifted.engine.close()])
})

test('in 4 bits too, rows of canvases run with the adapter and rows of text without', async () => {
  const [exact, rounded] = [await open('f32', 1, 4), await open('q4', 1, 4)]
  const ids = someIds(3, 12, 200)
  const ask = async ({ engine }: EngineUnderTest) => {
    const rows = { ids, positions: range(0, 12), context: [], asked: range(1, 12), setIds: [] }
    // All rows see all rows, so that nothing but the adapter tells the two apart.
    const sees = ids.map(() => [{ first: 0, count: 12 }])
    return engine.step(
      [
        { ...rows, sees },
        { ...rows, sees, kind: 'text' },
      ],
      never,
    )
  }
  const [canvas, text] = await ask(exact)
  const [roundedCanvas, roundedText] = await ask(rounded)
  const apart = [differenceOf(roundedCanvas!, canvas!), differenceOf(roundedText!, text!)]
  const between = differenceOf(canvas!, text!)
  process.stderr.write(
    `4 bits and float32 are ${apart.map((one) => one.toFixed(2))} apart, with and without ${between.toFixed(2)}\n`,
  )
  expect(Math.max(...apart)).toBeLessThan(between / 5)
  await Promise.all([exact.engine.close(), rounded.engine.close()])
})

describe('one worker', () => {
  let it: Awaited<ReturnType<typeof open>>
  let engine: OnnxEngine
  const job: StepJob = { ids: [65, 66, 67], positions: [0, 1, 2], context: [], asked: [1, 2, 3], setIds: [] }
  beforeAll(async () => {
    it = await open('f32', 1, 4)
    engine = it.engine
  })
  afterAll(() => engine.close())

  test('counts the bytes of new and of kept rows alone', async () => {
    const rowBytes = it.layers * it.kvHeads * it.headDim * 2 * 4
    const [trunk] = await engine.encode([{ ids: someIds(3, 70, 200) }], never)
    const [branch] = await engine.encode([{ ids: [70, 71], after: trunk!.id, rows: 3 }], never)
    const [prediction] = await engine.step([{ ...job, keep: [{ first: 1, count: 2 }] }], never)
    const kept = prediction!.kept[0]!
    expect([trunk!.bytes, branch!.bytes, kept.bytes]).toEqual([70 * rowBytes, 2 * rowBytes, 2 * rowBytes])
    engine.release([trunk!.id, branch!.id, kept.id])
  })

  test('takes a step before the rest of a long encode', async () => {
    const order: string[] = []
    const encoded = engine.encode([{ ids: someIds(4, 1000, 200) }], never).then(() => order.push('encode'))
    const stepped = engine.step([job], never).then(() => order.push('step'))
    await Promise.all([encoded, stepped])
    expect(order).toEqual(['step', 'encode'])
  })

  test('keeps rows as they saw all of the pass, where encoded ones saw only what was left of them', async () => {
    const ids = someIds(50, 40, 200)
    const whole: StepJob = { ids, positions: range(0, 40), context: [], asked: range(31, 9), setIds: [] }
    const [wanted] = await engine.step([{ ...whole, keep: [{ first: 0, count: 30 }] }], never)
    const [encoded] = await engine.encode([{ ids: ids.slice(0, 30) }], never)
    const over = async (id: number) => {
      const context = [{ id, rows: 30, firstPosition: 0 }]
      const [found] = await engine.step([{ ...whole, ids: ids.slice(30), positions: range(30, 10), context }], never)
      return differenceOf(found!, wanted!)
    }
    expect(await over(wanted!.kept[0]!.id)).toBeLessThan(1e-4)
    expect(await over(encoded!.id)).toBeGreaterThan(1e-2)
    engine.release([wanted!.kept[0]!.id, encoded!.id])
  })

  test('reads messages between the passes of a long step', async () => {
    const jobs = Array.from({ length: 20 }, (_, i) => ({
      ...job,
      ids: someIds(60 + i, 300, 200),
      positions: range(0, 300),
      keep: [{ first: 0, count: 300 }],
    }))
    const order: string[] = []
    const abort = new AbortController()
    const long = engine.step(jobs, abort.signal).catch(() => order.push('long'))
    const other = engine.step([job], never).then(() => order.push('other'))
    await new Promise((resolve) => setImmediate(resolve))
    abort.abort(new Aborted('superseded'))
    await Promise.all([long, other])
    expect(order).toEqual(['long', 'other'])
  })

  // Handles are numbered in order, so what an encode left behind would answer to the numbers between two others.
  test('leaves nothing behind of an encode, or of a step that keeps rows, that failed or was aborted', async () => {
    const kept = async (from: number, to: number) => {
      const use = (id: number) =>
        engine.encode([{ ids: [65], after: id }], never).then(
          () => id,
          () => undefined,
        )
      return (await Promise.all(range(from + 1, to - from - 1).map(use))).filter((id) => id !== undefined)
    }
    const mark = async () => (await engine.encode([{ ids: [65] }], never))[0]!.id
    const before = await mark()
    await expect(engine.encode([{ ids: [65, 66] }, { ids: [-1] }], never)).rejects.toThrow(RangeError)
    const failed = await mark()
    expect(await kept(before, failed)).toEqual([])
    const keeping: StepJob = { ...job, keep: [{ first: 0, count: 3 }] }
    await expect(engine.step([keeping, { ...job, setIds: [-1] }], never)).rejects.toThrow(RangeError)
    expect(await kept(failed, await mark())).toEqual([])

    for (let delay = 0; delay < 12; delay++) {
      const from = await mark()
      const abort = new AbortController()
      const encoding = engine.encode([{ ids: [65] }, { ids: [66] }, { ids: [67] }], abort.signal)
      // Jobs with sets of their own take a pass each.
      const sets = range(65, 3).map((id) => ({ ...keeping, setIds: [id] }))
      const stepping = engine.step(sets, abort.signal).then((all) => all.flatMap((one) => one.kept))
      const running = Promise.all(
        [encoding, stepping].map((made) =>
          made.then(
            (encodings) => engine.release(encodings.map(({ id }) => id)),
            () => {},
          ),
        ),
      )
      const until = performance.now() + delay / 4
      while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve))
      abort.abort(new Aborted('superseded'))
      await running
      expect(await kept(from, await mark()), `aborted after ${delay / 4} ms`).toEqual([])
    }
  })

  test('says which provider opened the graph', () => {
    expect(engine.report).toMatchObject({ provider: providerUnderTest, passedOver: [] })
  })
})

test('keeps the reason why a provider was passed over', async () => {
  const bundle = await openBundle((await bundleOf(1, 4)).f32)
  const options = engineOptions(bundle, { deterministic: true })
  const engine = await openOnnxEngine({ ...options, providers: ['nonesuch', 'cpu'] })
  expect(engine.report.provider).toBe('cpu')
  expect(engine.report.passedOver).toEqual([{ provider: 'nonesuch', reason: expect.stringMatching(/\S/) }])
  await engine.close()
})

test('refuses a graph that cannot be opened', async () => {
  const bundle = await openBundle((await bundleOf(1, 4)).f32)
  const options = engineOptions(
    { manifest: bundle.manifest, graphPath: join(bundle.dir, 'nothing.onnx') },
    { deterministic: true },
  )
  await expect(openOnnxEngine(options)).rejects.toThrow(BundleError)
})
