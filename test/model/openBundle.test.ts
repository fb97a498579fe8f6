import { mkdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BundleError, UserError } from '../../server/base/errors.ts'
import type { Manifest } from '../../server/model/manifest.ts'
import { openBundle, verifyBundle } from '../../server/model/openBundle.ts'
import { listModels, type ModelPlaces, modelPlaces, resolveModel } from '../../server/model/store.ts'
import { randomBundle } from './randomBundle.ts'
import { temporaryFolder } from './temporaryFolder.ts'

async function smallBundle(): Promise<string> {
  return (await randomBundle(await temporaryFolder(), { layers: 1 }, 11)).q4
}

async function editManifest(dir: string, edit: (manifest: Manifest) => void): Promise<void> {
  const path = join(dir, 'lacuna.json')
  const manifest = JSON.parse(await readFile(path, 'utf8'))
  edit(manifest)
  await writeFile(path, JSON.stringify(manifest))
}

async function flipByte(path: string): Promise<void> {
  const bytes = await readFile(path)
  bytes[bytes.length >> 1]! ^= 1
  await writeFile(path, bytes)
}

describe('a damaged bundle is refused by name', () => {
  const data = 'onnx/model_q4.onnx_data'
  const cases: readonly (readonly [string, (dir: string) => Promise<unknown>, RegExp])[] = [
    ['no manifest', (dir) => rm(join(dir, 'lacuna.json')), /lacuna\.json: ENOENT/],
    ['a manifest that is no JSON', (dir) => writeFile(join(dir, 'lacuna.json'), '{'), /lacuna\.json: /],
    [
      'a changed weight',
      (dir) => flipByte(join(dir, data)),
      /onnx\/model_q4\.onnx_data: sha256 is [0-9a-f]{8}…, lacuna\.json says [0-9a-f]{8}…; run "lacuna model verify"/,
    ],
    ['a changed graph', (dir) => flipByte(join(dir, 'onnx/model_q4.onnx')), /onnx\/model_q4\.onnx: sha256 is/],
    ['a truncated file', (dir) => truncate(join(dir, data), 1000), /onnx_data: 1000 bytes, lacuna\.json says \d+; run/],
    ['a missing file', (dir) => rm(join(dir, data)), /onnx_data: the file is missing/],
    [
      'a folder in its place',
      (dir) => rm(join(dir, data)).then(() => mkdir(join(dir, data))),
      /onnx_data: no plain file/,
    ],
    ['weights not listed', (dir) => editManifest(dir, (m) => m.files.splice(2, 1)), /lacuna\.json does not list it/],
    [
      'a link out of the folder',
      async (dir) => {
        await rename(join(dir, data), join(dir, '../elsewhere'))
        await symlink('../../elsewhere', join(dir, data))
      },
      /onnx_data: a link that leaves its folder/,
    ],
    [
      'a linked folder',
      async (dir) => {
        await rename(join(dir, 'onnx'), join(dir, '../onnx'))
        await symlink('../onnx', join(dir, 'onnx'))
      },
      /a link that leaves its folder/,
    ],
    [
      'weights in a folder above',
      (dir) =>
        editManifest(dir, (m) => {
          m.graphs[0]!.externalData[0] = '../secret'
          m.files.push({ path: '../secret', bytes: 1, sha256: '0'.repeat(64) })
        }),
      /weights must lie in onnx\//,
    ],
    [
      'a file at an absolute path',
      (dir) => editManifest(dir, (m) => m.files.unshift({ path: '/etc/passwd', bytes: 1, sha256: '0'.repeat(64) })),
      /passwd: the path leaves the folder of the bundle/,
    ],
    [
      'a graph in a folder above',
      (dir) =>
        editManifest(dir, (m) => {
          m.graphs[0]!.file = '../onnx/model_q4.onnx'
          m.graphs[0]!.externalData = []
          m.files.push({ path: '../onnx/model_q4.onnx', bytes: 1, sha256: '0'.repeat(64) })
        }),
      /model_q4\.onnx: the path leaves the folder of the bundle/,
    ],
  ]
  test.each(cases)('%s', async (_, spoil, message) => {
    const dir = await smallBundle()
    await spoil(dir)
    const opened = openBundle(dir)
    await expect(opened).rejects.toThrow(message)
    await expect(opened).rejects.toBeInstanceOf(BundleError)
  })

  test('sizes alone miss a changed weight; verify names it', async () => {
    const dir = await smallBundle()
    await flipByte(join(dir, data))
    await openBundle(dir, { check: 'sizes' })
    const told: string[] = []
    const verdicts = await verifyBundle(dir, ({ path }) => told.push(path))
    expect(verdicts.filter(({ problem }) => problem).map(({ path }) => path)).toEqual([data])
    expect(told).toEqual(verdicts.map(({ path }) => path))
  })

  test('a link within the folder is fine', async () => {
    const dir = await smallBundle()
    await rename(join(dir, data), join(dir, 'onnx/blob'))
    await symlink('blob', join(dir, data))
    await openBundle(dir)
  })

  test('a kind of graph the bundle lacks', async () => {
    await expect(openBundle(await smallBundle(), { quant: 'f32' })).rejects.toThrow('no graph in f32, only in q4')
  })
})

describe('the store', () => {
  async function storeWith(...bundles: string[]): Promise<{ dir: string; places: ModelPlaces }> {
    const dir = await temporaryFolder()
    for (const bundle of bundles) {
      await mkdir(join(dir, bundle), { recursive: true })
      await writeFile(join(dir, bundle, 'lacuna.json'), '{}')
    }
    return { dir, places: { embedded: join(dir, 'embedded'), user: join(dir, 'user') } }
  }

  test("a name is looked up among the user's models first", async () => {
    const { dir, places } = await storeWith('embedded/lacuna-135m', 'embedded/other', 'user/other', 'user/mine')
    await mkdir(join(dir, 'user/no-bundle'))
    expect((await listModels(places)).map(({ name, place }) => `${place}/${name}`)).toEqual([
      'user/mine',
      'user/other',
      'embedded/lacuna-135m',
    ])
    expect(await resolveModel('other', places)).toBe(join(dir, 'user/other'))
    expect(await resolveModel(undefined, places)).toBe(join(dir, 'embedded/lacuna-135m'))
  })

  test('a folder may be named as it is', async () => {
    const { dir, places } = await storeWith('elsewhere/model')
    expect(await resolveModel(join(dir, 'elsewhere/model'), places)).toBe(join(dir, 'elsewhere/model'))
  })

  test('what does not exist is answered with what does', async () => {
    const { places } = await storeWith('user/mine', 'embedded/lacuna-135m')
    await expect(resolveModel('yours', places)).rejects.toThrow(
      'model "yours": no such model, and no folder with a lacuna.json; installed: mine, lacuna-135m;',
    )
    const empty = (await storeWith()).places
    await expect(resolveModel(undefined, empty)).rejects.toThrow('model "lacuna-135m": no such model')
    await expect(resolveModel(undefined, empty)).rejects.toThrow('installed: none;')
    await expect(resolveModel(undefined, empty)).rejects.toBeInstanceOf(UserError)
  })

  test('the embedded models are those of the package', () => {
    expect(modelPlaces().embedded).toBe(join(import.meta.dirname, '../../models'))
  })
})

test('verify misses what is needed and not listed', async () => {
  const dir = await smallBundle()
  await editManifest(dir, (manifest) => {
    manifest.files = manifest.files.filter(({ path }) => path !== 'tokenizer.json')
  })
  const bad = (await verifyBundle(dir)).filter(({ problem }) => problem !== undefined)
  expect(bad).toEqual([{ path: 'tokenizer.json', bytes: 0, sha256: '', problem: 'lacuna.json does not list it' }])
})
