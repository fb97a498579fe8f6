/** Files of a bundle that are not what they are called: refused by name, at once, and nothing is written anywhere. */
import { execFileSync } from 'node:child_process'
import { appendFile, mkdir, open, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openRooms } from '../../../server/cli/openRooms.ts'
import { openBundle, verifyBundle } from '../../../server/model/openBundle.ts'
import { editManifest, expectRefusal, intactBundle, listing } from './hostileBundle.ts'

const data = 'onnx/model_q4.onnx_data'
const graph = 'onnx/model_q4.onnx'
const names = ['lacuna.json', 'config.json', 'tokenizer.json', graph, data, `${data}_1`, `${data}_2`]

const replacements: readonly (readonly [string, (path: string) => unknown, RegExp])[] = [
  ['a FIFO', (path) => execFileSync('mkfifo', [path]), /: no plain file;/],
  ['a folder', (path) => mkdir(path), /: (no plain file|a folder, wanted a file);/],
  ['a device without end', (path) => symlink('/dev/zero', path), /: (no plain file|a link that leaves its folder)/],
  ['a link to itself', (path) => symlink(path, path), /ELOOP|ENOENT|too many/],
  ['nothing', () => {}, /ENOENT|the file is missing/],
]
const cases = names.flatMap((name) => replacements.map(([what, make, message]) => [name, what, make, message] as const))

describe.skipIf(process.platform === 'win32')('in place of', () => {
  test.each(cases)('%s: %s', async (name, _, make, message) => {
    const dir = await intactBundle()
    const path = join(dir, name)
    await rm(path)
    await make(path)
    const before = await listing(join(dir, '..'))
    await expectRefusal(openBundle(dir), message)
    await expectRefusal(openBundle(dir), name)
    expect(await listing(join(dir, '..'))).toEqual(before)
  })
})

describe('links', () => {
  test.each(names.filter((name) => name !== 'lacuna.json'))(
    '%s may not be one that leaves its folder',
    async (name) => {
      const dir = await intactBundle()
      await rename(join(dir, name), join(dir, '../elsewhere'))
      await symlink(join(dir, '../elsewhere'), join(dir, name))
      await expectRefusal(openBundle(dir), /a link that leaves its folder; copy the file there/)
    },
  )

  test('nor may onnx/ be one', async () => {
    const dir = await intactBundle()
    await rename(join(dir, 'onnx'), join(dir, '../elsewhere'))
    await symlink(join(dir, '../elsewhere'), join(dir, 'onnx'))
    await expectRefusal(openBundle(dir), /a link that leaves its folder/)
  })
})

describe('damage', () => {
  const flip = async (path: string): Promise<void> => {
    const bytes = await readFile(path)
    bytes[bytes.length - 1]! ^= 0x80
    await writeFile(path, bytes)
  }
  test.each(names.slice(1))('%s: a bit, a byte less, a byte more', async (name) => {
    const dir = await intactBundle()
    const path = join(dir, name)
    const intact = await readFile(path)
    await flip(path)
    await expectRefusal(
      openBundle(dir),
      /sha256 is [0-9a-f]{8}…, lacuna\.json says [0-9a-f]{8}…; run "lacuna model verify"/,
    )
    await writeFile(path, intact)
    await truncate(path, intact.length - 1)
    await expectRefusal(openBundle(dir), `${intact.length - 1} bytes, lacuna.json says ${intact.length}`)
    await writeFile(path, intact)
    await appendFile(path, '\0')
    await expectRefusal(openBundle(dir), `${intact.length + 1} bytes, lacuna.json says ${intact.length}`)
    await writeFile(path, intact)
    await openBundle(dir)
  })

  test('verify names every damaged file and is not stopped by the first', async () => {
    const dir = await intactBundle()
    await flip(join(dir, data))
    await rm(join(dir, 'tokenizer.json'))
    const verdicts = (await verifyBundle(dir)).filter(({ problem }) => problem)
    expect(verdicts.map(({ path, problem }) => `${path}: ${problem}`)).toEqual([
      expect.stringMatching(/^onnx\/model_q4\.onnx_data: sha256 is /),
      'tokenizer.json: the file is missing',
    ])
  })
})

describe('a terabyte of nothing', () => {
  const grow = async (dir: string, name: string): Promise<void> => {
    const file = await open(join(dir, name), 'a')
    await file.truncate(2 ** 40)
    await file.close()
    await editManifest(dir, (manifest) => {
      manifest.files.find(({ path }) => path === name)!.bytes = 2 ** 40
    })
  }
  test.each(names.slice(1))('as %s is refused before it is read', async (name) => {
    const dir = await intactBundle()
    await grow(dir, name)
    await expectRefusal(
      openBundle(dir),
      /1099511627776 bytes, (at most \d+ are read|config\.json and lacuna\.json ask for)/,
    )
  })
})

test('what is refused is refused by the command line’s way of opening too, and leaves no thread behind', async () => {
  const dir = await intactBundle()
  await truncate(join(dir, data), 100)
  await expectRefusal(openRooms(dir), /onnx_data: 100 bytes, lacuna\.json says/)
})
