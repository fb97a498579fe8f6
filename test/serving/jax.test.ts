/**
 * `serving/` as its client sees it: the promises of an engine, and the numbers and texts of the engine of this machine. Runs
 * where `LACUNA_SERVING_PYTHON` names a Python with `serving/requirements.txt`; nothing else here needs one.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type OpenRooms, openRooms } from '../../server/cli/openRooms.ts'
import type { Engine, StepJob } from '../../server/engine/engine.ts'
import { fillGap } from '../../server/session/fillGap.ts'
import { askedFor } from '../../server/session/gaps.ts'
import { range, runEngineSuite, someIds } from '../engine/engine.case.ts'
import { randomBundle } from '../model/randomBundle.ts'

const python = process.env.LACUNA_SERVING_PYTHON
const never = new AbortController().signal
let dir: string
let server: ChildProcess
let address: string
let bundle: string
let here: OpenRooms
let there: OpenRooms

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}

describe.skipIf(!python)('serving/ (LACUNA_SERVING_PYTHON names no Python)', () => {
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lacuna-serving-'))
    const { f32 } = await randomBundle(dir, { heads: 4, kvHeads: 2, headDim: 16, layers: 3 }, 11)
    bundle = f32
    const [port, grpcPort] = [await freePort(), await freePort()]
    address = `http://127.0.0.1:${port}`
    const mesh = ['--data', '4', '--model', '2', '--warm_jobs', '--pool_rows', '6000']
    const ports = ['--http_port', `${port}`, '--grpc_port', `${grpcPort}`]
    server = spawn(python!, ['-m', 'lacuna_serving.server', '--bundle', f32, ...mesh, ...ports], {
      cwd: 'serving',
      stdio: ['ignore', 'ignore', process.env.LACUNA_SERVING_LOG ? 'inherit' : 'ignore'],
      env: { ...process.env, XLA_FLAGS: '--xla_force_host_platform_device_count=8', JAX_PLATFORMS: 'cpu' },
    })
    for (let i = 0; i < 600; i++) {
      const ready = await fetch(`${address}/v2/models/random/ready`).then(
        ({ ok }) => ok,
        () => false,
      )
      if (ready) break
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    here = await openRooms(f32, { cache: true, deterministic: true })
    there = await openRooms(f32, { cache: true, engine: { address, standIn: false } })
  }, 300_000)
  afterAll(async () => {
    await there?.close()
    await here?.close()
    server?.kill()
    await rm(dir, { recursive: true, force: true })
  })

  const maskId = () => here.manifest.maskId
  /** A canvas over a prefix and a suffix: log-probabilities of the best eight, row by row. */
  async function predicted(engine: Engine, seed: number) {
    const [prefix, suffix] = await engine.encode(
      [{ ids: someIds(seed, 40 + seed, maskId()) }, { ids: someIds(seed + 1, 20, maskId()) }],
      never,
    )
    const first = 40 + seed
    const job: StepJob = {
      ids: [5, ...Array<number>(8).fill(maskId())],
      positions: range(first, 9),
      context: [
        { id: suffix!.id, rows: 20, firstPosition: first + 9 },
        { id: prefix!.id, rows: first, firstPosition: 0 },
      ],
      asked: range(first + 1, 8),
      setIds: [5, 7],
    }
    return (await engine.step([job], never))[0]!
  }

  test('says the same of 160 rows as the engine of this machine', async () => {
    let worst = 0
    for (let seed = 1; seed <= 20; seed++) {
      const [ours, theirs] = [await predicted(here.engine, seed), await predicted(there.engine, seed)]
      expect(theirs.topIds.map(([best]) => best)).toEqual(ours.topIds.map(([best]) => best))
      for (const [row, values] of ours.topLogProbs.entries())
        for (const [k, value] of values.entries())
          worst = Math.max(
            worst,
            Math.abs(value - theirs.topLogProbs[row]![k]!),
            Math.abs(ours.entropy[row]! - theirs.entropy[row]!),
          )
    }
    process.stderr.write(`160 rows: largest difference ${worst.toExponential(1)}\n`)
    expect(worst).toBeLessThan(1e-3)
  })

  test('fills gaps with the same text', async () => {
    const text = 'def first(self):\n    return self.items\n\ndef second(self):\n    print(self.items)\n'
    const offsets = range(1, 25).map((i) => i * 3)
    for (const offset of offsets) {
      const request = { text, offset, scope: 'line', maxTokens: 12, certainty: askedFor } as const
      const [ours, theirs] = [await fillGap(here, request, never), await fillGap(there, request, never)]
      expect(theirs.ids).toEqual(ours.ids)
      expect(theirs.kind).toBe(ours.kind)
    }
  })

  runEngineSuite({
    name: 'open-inference engine over KServe and JAX, 4 × 2 devices',
    open: async () => {
      const { engine, manifest } = await openRooms(bundle, { cache: true, engine: { address, standIn: false } })
      const { vocab, maskId, maxPositions, logitsShift } = manifest
      return { engine, vocab, maskId, maxPositions, logitsShift, inputIds: Math.max(vocab, maskId + 1) }
    },
  })
})
