/**
 * What a step takes, by execution provider and rows computed, over 448 rows of context: one JSON object a row. Providers
 * that cannot be used here are skipped with their reason. The processor is measured twice, in 8 bits and with the matrices
 * as they lie on disk, which are what all others multiply. `node dist/benchProviders.js --help`.
 */
import { engineOptions } from '../../server/cli/openRooms.ts'
import { parseProviders, providersOf } from '../../server/cli/providers.ts'
import type { Engine } from '../../server/engine/engine.ts'
import { openOnnxEngine } from '../../server/engine/onnx/onnxEngine.ts'
import { type Bundle, openBundle } from '../../server/model/openBundle.ts'
import { resolveModel } from '../../server/model/store.ts'
import { commandLine } from './options.ts'
import { median, rounded } from './stats.ts'

const open = new AbortController().signal
const contextRows = 448
const rowCounts = [1, 9, 17, 33, 64]
const asked = 4
const rounds = 7 // and two before, that are not counted: a device makes its programs at the first

const help = `node dist/benchProviders.js [options]
  --providers LIST    of cpu,coreml,cuda,dml,webgpu (default: what this platform may have)
  --model DIR         default: the embedded one
`
const { values } = commandLine(help, { options: { providers: { type: 'string' }, model: { type: 'string' } } }, 0)
const names = values.providers
  ? parseProviders(values.providers)
  : ['cpu', ...providersOf(process.platform, process.arch)]
const bundle = await openBundle(await resolveModel(values.model))
for (const provider of names) {
  if (provider === 'cpu') await measure(provider, 'fastest')
  await measure(provider, 'stored')
}

async function measure(provider: string, weights: 'fastest' | 'stored'): Promise<void> {
  const engine = await openOnnxEngine(engineOptions(bundle, { providers: [provider], weights }))
  try {
    const { report } = engine
    const failed = report.passedOver.find((one) => one.provider === provider)
    if (failed) return print({ provider, skipped: failed.reason })
    print({ provider, weights, open_ms: rounded(report.loadMs, 0) })
    const [encoding] = await engine.encode([{ ids: ids(contextRows) }], open)
    for (const rows of rowCounts) {
      const ms: number[] = []
      for (let round = 0; round < rounds + 2; round++) {
        const began = performance.now()
        await step(engine, bundle, encoding!.id, rows)
        ms.push(performance.now() - began)
      }
      print({ provider, weights, rows, ms: rounded(median(ms.slice(2))) })
    }
  } finally {
    await engine.close()
  }
}

async function step(engine: Engine, { manifest }: Bundle, id: number, rows: number): Promise<void> {
  const job = {
    ids: [500, ...Array<number>(rows - 1).fill(manifest.maskId)],
    positions: Array.from({ length: rows }, (_, i) => contextRows + i),
    context: [{ id, rows: contextRows, firstPosition: 0 }],
    asked: Array.from({ length: Math.min(asked, rows) }, (_, i) => contextRows + manifest.logitsShift + i),
    setIds: manifest.endIds,
  }
  await engine.step([job], open)
}

function ids(count: number): number[] {
  return Array.from({ length: count }, (_, i) => 100 + i)
}

function print(row: object): void {
  process.stdout.write(`${JSON.stringify(row)}\n`)
}
