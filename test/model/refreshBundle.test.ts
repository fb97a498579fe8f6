import { cp, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { run } from '../../server/cli/run.ts'
import { openBundle, verifyBundle } from '../../server/model/openBundle.ts'
import { isFinishedBundle, refreshBundle } from '../../server/model/refreshBundle.ts'
import { resolveModel } from '../../server/model/store.ts'
import { randomBundle } from './randomBundle.ts'
import { temporaryFolder } from './temporaryFolder.ts'

test('a bundle of another version, whose sources are gone, is made new from its data files', async () => {
  const dir = await temporaryFolder()
  const { source, q4 } = await randomBundle(dir, {}, 1)
  expect([await isFinishedBundle(source), await isFinishedBundle(q4)]).toEqual([false, true])
  const fresh = await readFile(join(q4, 'lacuna.json'), 'utf8')
  const graph = await readFile(join(q4, 'onnx/model_q4.onnx'))
  await writeFile(join(q4, 'onnx/model_q4.onnx'), graph.subarray(0, -1))
  await expect(openBundle(q4)).rejects.toThrow('model_q4.onnx')
  const said: string[] = []
  const terminal = {
    out: (text: string) => said.push(text),
    err: (text: string) => said.push(text),
    stdin: process.stdin,
  }
  expect(await run(['model', 'convert', q4], terminal)).toBe(0)
  expect(said.join('')).toContain('no weights here, so the graph was made again over the data files')
  expect(await readFile(join(q4, 'lacuna.json'), 'utf8')).toBe(fresh)
  await openBundle(q4)
})

test('data that the graph does not fit is refused', async () => {
  const { q4 } = await randomBundle(await temporaryFolder(), { layers: 1 }, 2)
  const config = JSON.parse(await readFile(join(q4, 'config.json'), 'utf8'))
  await writeFile(join(q4, 'config.json'), JSON.stringify({ ...config, intermediate_size: 96 }))
  await expect(refreshBundle(q4)).rejects.toThrow('mlp is 128, config.json asks for 96')
})

test('nothing is written through a link, nor over data that is not there', async () => {
  const dir = await temporaryFolder()
  const { q4 } = await randomBundle(dir, { layers: 1 }, 2)
  await rename(join(q4, 'onnx'), join(dir, 'elsewhere'))
  await writeFile(join(dir, 'elsewhere/model_q4.onnx'), 'of somebody else')
  await symlink('../elsewhere', join(q4, 'onnx'))
  await expect(refreshBundle(q4)).rejects.toThrow('a link that leaves its folder')
  expect(await readFile(join(dir, 'elsewhere/model_q4.onnx'), 'utf8')).toBe('of somebody else')
  await rm(join(q4, 'onnx'))
  await rename(join(dir, 'elsewhere'), join(q4, 'onnx'))
  await truncate(join(q4, 'onnx/model_q4.onnx_data'), 100)
  await expect(refreshBundle(q4)).rejects.toThrow(/onnx_data: 100 bytes, lacuna\.json says \d+; the graph was left/)
  expect(await readFile(join(q4, 'onnx/model_q4.onnx'), 'utf8')).toBe('of somebody else')
})

test('the embedded model is one that this version makes', async () => {
  const dir = await resolveModel('lacuna-135m')
  const copy = join(await temporaryFolder(), 'copy')
  await cp(dir, copy, { recursive: true })
  await refreshBundle(copy)
  expect(await readFile(join(copy, 'lacuna.json'), 'utf8')).toBe(await readFile(join(dir, 'lacuna.json'), 'utf8'))
  const problems = (await verifyBundle(copy)).filter(({ problem }) => problem !== undefined)
  expect(problems).toEqual([])
})
