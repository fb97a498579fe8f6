/**
 * The embedded model on another execution provider against cpu, the same graph on both: cpu multiplies in 4 bits here
 * too. `LACUNA_PROVIDER=webgpu npx vitest run test/oracle/providers.test.ts test/oracle/parity.test.ts`, which holds the
 * numbers against PyTorch's; software Vulkan takes an hour. Skipped without that variable: no test needs a device.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { engineOptions, type OpenRooms, openRooms } from '../../server/cli/openRooms.ts'
import { openOnnxEngine } from '../../server/engine/onnx/onnxEngine.ts'
import type { OpenReport } from '../../server/engine/onnx/protocol.ts'
import { openBundle } from '../../server/model/openBundle.ts'
import { resolveModel } from '../../server/model/store.ts'
import { fillGap } from '../../server/session/fillGap.ts'
import { askedFor } from '../../server/session/gaps.ts'
import { range, someIds } from '../engine/engine.case.ts'
import { providerUnderTest } from '../engine/providerUnderTest.ts'
import { parseMarked } from '../markup.ts'
import { randomBundle } from '../model/randomBundle.ts'

const never = new AbortController().signal
const why = 'set LACUNA_PROVIDER to one that this machine has'
const longTest = 7_200_000 // milliseconds

const marked = [
  'class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self.y = ║\n',
  'def mean(values):\n    total = 0\n    for value in values:\n        total += ║\n    return total / len(values)\n',
  'export function add(a: number, b: number): number {\n  return ║\n}\n',
  'for (let i = 0; i < items.length; ║) {\n  total += items[i]\n}\n',
  'def area(width, height):\n    return width * ║\n',
  'values = [1, 2, 3]\ntotal = sum(║)\nprint(total)\n',
  "import fs from 'node:fs'\n\nconst text = fs.readFileSync(║)\nconsole.log(text)\n",
  'def read(path):\n    with open(path) as file:\n        ║\n',
]

describe.skipIf(providerUnderTest === 'cpu')(`${providerUnderTest} against cpu (skipped on cpu: ${why})`, () => {
  test('completes the same', { timeout: longTest }, async () => {
    const dir = await resolveModel()
    const all: { text: string; stepMs: number }[][] = []
    for (const provider of ['cpu', providerUnderTest]) {
      const rooms = await openRooms(dir, { cache: true, providers: [provider], weights: 'stored' })
      expect(rooms.report.provider).toBe(provider)
      const found: { text: string; stepMs: number }[] = []
      for (const gap of marked) found.push(await fill(rooms, gap))
      await rooms.close()
      all.push(found)
    }
    const [wanted, found] = all as [{ text: string; stepMs: number }[], { text: string; stepMs: number }[]]
    const steps = found.map(({ stepMs }) => stepMs).toSorted((a, b) => a - b)
    process.stderr.write(`${providerUnderTest}: ${steps[steps.length >> 1]!.toFixed(0)} ms a step at the median\n`)
    expect(found.map(({ text }) => text)).toEqual(wanted.map(({ text }) => text))
  })

  test('a pass that the device has no room for is done by cpu', { timeout: longTest }, async () => {
    const root = await mkdtemp(join(tmpdir(), 'lacuna-room-'))
    const bundle = await openBundle((await randomBundle(root, {}, 7)).f32)
    const moves: OpenReport[] = []
    const options = { ...engineOptions(bundle, { providers: [providerUnderTest] }), maxPositions: 1e6 }
    const engine = await openOnnxEngine(options, (report) => moves.push(report))
    expect(engine.report.provider).toBe(providerUnderTest)
    const rows = 20_000 // their scores take 3.2 GB
    const job = { ids: someIds(1, rows, 200), positions: range(0, rows), context: [], asked: [rows], setIds: [] }
    const [prediction] = await engine.step([job], never)
    expect(prediction!.topIds).toHaveLength(1)
    process.stderr.write(`${providerUnderTest}: ${moves[0]?.passedOver[0]?.reason ?? 'had room for all'}\n`)
    expect(moves.map(({ provider }) => provider)).toEqual(['cpu'])
    await engine.close()
    await rm(root, { recursive: true, force: true })
  })
})

async function fill(rooms: OpenRooms, gap: string): Promise<{ text: string; stepMs: number }> {
  const { text, cursor } = parseMarked(gap)
  const request = { text, offset: cursor!, scope: 'line' as const, maxTokens: 16, certainty: askedFor }
  const filled = await fillGap(rooms, request, never)
  return { text: filled.kind === 'completion' ? filled.edit.text : '', stepMs: filled.ms.denoise / filled.steps }
}
