import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { BundleError } from '../../server/base/errors.ts'
import { convertModel } from '../../server/model/convert.ts'
import { layoutBundle } from '../../server/model/layout.ts'
import { openBundle } from '../../server/model/openBundle.ts'
import { noTally, type Unit } from '../../server/model/units.ts'
import { type BundlePlan, writeBundle } from '../../server/model/writeBundle.ts'
import { randomFolder } from './randomBundle.ts'
import { temporaryFolder } from './temporaryFolder.ts'

/** As a process that is killed in the middle of a conversion leaves things: no handler of ours runs. */
class Killed extends Error {}

const shape = {
  ...{ layers: 3, width: 32, heads: 2, kvHeads: 1, headDim: 16, mlp: 32, vocab: 40, adapterRank: 0 },
  ...{ rope: { theta: 1e4 }, normEps: 1e-5, queryKeyNorm: false, biases: [], tiedHead: true },
  ...{ extraIds: 0, extraHeadRows: 0 },
} as const

let dir: string
let plan: BundlePlan
beforeEach(async () => {
  dir = await temporaryFolder()
  const source = join(dir, 'source')
  await randomFolder(source, { layers: 1, adapterRank: 0 }, 1)
  const { manifest } = await convertModel(source, join(dir, 'any'), { quant: 'f32' })
  const { graphs: _, files: __, ...facts } = manifest
  plan = {
    sourceDir: source,
    outDir: join(dir, 'out'),
    shape,
    storage: 'f32',
    manifest: facts,
    fingerprint: 'a',
    syncEveryMs: -1,
  }
})

/** A unit for each tensor, of bytes that tell which; `filled` is told. */
function units(filled: string[], killedAt = Number.POSITIVE_INFINITY): Unit[] {
  return [...layoutBundle(shape, 'f32').tensors].map(([name, { length }], i) => ({
    name,
    tensors: [name],
    async fill(write) {
      if (i >= killedAt) throw new Killed()
      await write(name, new Uint8Array(length / 2).fill(i))
      await write(name, new Uint8Array(length / 2).fill(i), length / 2)
      filled.push(name)
      return { ...noTally, blocks: 1 }
    },
  }))
}

test('a killed run goes on where it stopped, and ends with the same bytes and counts', async () => {
  const [first, second, whole]: [string[], string[], string[]] = [[], [], []]
  await expect(writeBundle(plan, units(first, 9))).rejects.toThrow(Killed)
  await expect(openBundle(plan.outDir)).rejects.toThrow('lacuna.json')
  const seen: number[] = []
  const resumed = await writeBundle(plan, units(second), ({ doneBytes }) => void seen.push(doneBytes))
  expect(first).toHaveLength(9)
  expect([...first, ...second]).toEqual([...layoutBundle(shape, 'f32').tensors.keys()])
  expect(resumed.tally.blocks).toBe(first.length + second.length)
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  const straight = await writeBundle({ ...plan, outDir: join(dir, 'straight') }, units(whole))
  expect(resumed.manifest).toEqual(straight.manifest)
  expect((await readdir(join(plan.outDir, 'onnx'))).sort()).toEqual([
    'model.onnx',
    'model.onnx_data',
    'model.onnx_data_1',
  ])
})

test('another process that writes there is not disturbed; one that is gone is no obstacle', async () => {
  await expect(writeBundle(plan, units([], 9))).rejects.toThrow(Killed)
  const lock = join(plan.outDir, 'onnx/in-use-by')
  const before = await readdir(join(plan.outDir, 'onnx'))
  await writeFile(lock, String(process.ppid))
  await expect(writeBundle(plan, units([]))).rejects.toThrow(`process ${process.ppid} is at work there; wait for it`)
  expect(await readdir(join(plan.outDir, 'onnx'))).toEqual([...before, 'in-use-by'].sort())
  await writeFile(lock, '999999999')
  const filled: string[] = []
  await writeBundle(plan, units(filled))
  expect(filled).not.toContain([...layoutBundle(shape, 'f32').tensors.keys()][0]) // it goes on
  expect(await readdir(join(plan.outDir, 'onnx'))).not.toContain('in-use-by')
})

test('work begun from other weights, or whose files were lost, is begun anew', async () => {
  const spoiled: readonly ((plan: BundlePlan) => Promise<BundlePlan>)[] = [
    async (old) => ({ ...old, fingerprint: 'b' }),
    async (old) => ({ ...old, manifest: { ...old.manifest, logitsShift: 0 } }),
    async (old) => {
      await writeFile(join(old.outDir, 'onnx/model.onnx_data.part'), '')
      return old
    },
    async (old) => {
      await writeFile(join(old.outDir, 'onnx/f32.unfinished'), '{"finger')
      return old
    },
  ]
  for (const [i, spoil] of spoiled.entries()) {
    const old = { ...plan, outDir: join(dir, `spoiled-${i}`) }
    await mkdir(old.outDir)
    await expect(writeBundle(old, units([], 5))).rejects.toThrow(Killed)
    const filled: string[] = []
    await writeBundle(await spoil(old), units(filled))
    expect(filled).toHaveLength(layoutBundle(shape, 'f32').tensors.size)
  }
})

test('a model that turns out bad leaves nothing behind', async () => {
  const bad = units([]).map((unit, i): Unit => {
    if (i < 3) return unit
    return { ...unit, fill: () => Promise.reject(new BundleError('tensor x: value 3 is NaN')) }
  })
  await expect(writeBundle(plan, bad)).rejects.toThrow('value 3 is NaN')
  expect(await readdir(join(plan.outDir, 'onnx'))).toEqual([])
})

test('graphs in other storages stay, as long as they are of the same model', async () => {
  const source = join(dir, 'source')
  const out = join(dir, 'both')
  await convertModel(source, out, { quant: 'f32', name: 'm' })
  await convertModel(source, out, { quant: 'q4', name: 'm' })
  const { manifest } = await convertModel(source, out, { quant: 'q8', name: 'm' })
  expect(manifest.graphs.map(({ quant }) => quant)).toEqual(['q8', 'q4_1', 'f32'])
  for (const quant of ['q4', 'q8', 'f32'] as const) expect((await openBundle(out, { quant })).graph).toBeDefined()
  const facts = { mask_token_id: 7 }
  const other = await convertModel(source, out, { quant: 'q4', name: 'm', facts })
  expect(other.manifest.graphs.map(({ quant }) => quant)).toEqual(['q4_1'])
  await openBundle(out)
})

test('weights that changed between two runs are noticed by size and time', async () => {
  const source = join(dir, 'source')
  const weights = join(source, 'model.safetensors')
  const before = await stat(weights)
  const out = join(dir, 'changed')
  const first = await convertModel(source, out, { quant: 'f32' })
  const bytes = await readFile(weights)
  await writeFile(weights, bytes)
  await utimes(weights, before.atime, new Date(before.mtimeMs + 5000))
  expect((await convertModel(source, out, { quant: 'f32' })).manifest).toEqual(first.manifest)
})
