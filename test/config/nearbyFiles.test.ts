/** What lies beside a document on a real disk, and what of it nobody is told. */
import { mkdir, mkdtemp, realpath, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { filesBeside, kindOf } from '../../server/config/nearbyFiles.ts'

let root: string
let now = 0
beforeEach(async () => void (root = await realpath(await mkdtemp(join(tmpdir(), 'lacuna-beside-')))))
afterEach(() => rm(root, { recursive: true, force: true }))

/** The later in the list, the later written. */
async function put(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [i, [name, text]] of Object.entries(files).entries()) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), text)
    await utimes(join(root, name), 1000 + i, 1000 + i)
  }
}

const uri = (name: string) => pathToFileURL(join(root, name)).href
const open = () => filesBeside(() => now)
const beside = async (name: string) => (await open().read(uri(name))).map(({ path }) => basename(path))

test('are files of the same kind in the same folder, the last written first, without the document', async () => {
  await put({ 'a.py': 'a', 'b.py': 'b', 'main.py': 'main', 'c.ts': 'c', 'deep/d.py': 'd', 'e.py': 'e' })
  expect(await beside('main.py')).toEqual(['e.py', 'b.py', 'a.py'])
  expect(await beside('new.py')).toEqual(['e.py', 'main.py', 'b.py', 'a.py'])
})

test('of scripts all endings are one kind, but none is told of what was made of it', async () => {
  await put({ 'a.ts': '1', 'main.js': '2', 'main.d.ts': '3', 'main.mjs': '4', 'view.jsx': '5', 'main.test.js': '6' })
  expect(await beside('main.js')).toEqual(['main.test.js', 'view.jsx', 'a.ts'])
  await put({ 'x.c': '1', 'x.h': '2', 'y.h': '3' })
  expect(await beside('x.c')).toEqual(['y.h', 'x.h'])
  expect([kindOf('Makefile'), kindOf('a.PY'), kindOf('a.tsx') === kindOf('b.cjs')]).toEqual(['', '.py', true])
})

test('are not private, large, binary, minified, or links', async () => {
  await put({
    '.git/HEAD': '',
    '.gitignore': 'local_*\n',
    'local_keys.py': 'key',
    'large.py': 'x = 1\n'.repeat(20_000),
    'binary.py': 'a\0b',
    'minified.py': `x = [${'1, '.repeat(1000)}]`,
    'good.py': 'good',
  })
  await symlink(join(root, 'good.py'), join(root, 'link.py'))
  await mkdir(join(root, 'folder.py'))
  expect(await beside('main.py')).toEqual(['good.py'])
})

test('are no more than sixteen, with LF line ends', async () => {
  const name = (i: number) => `f${String(i).padStart(2, '0')}.py`
  await put(Object.fromEntries(Array.from({ length: 20 }, (_, i) => [name(i), `line ${i}\r\nnext\rlast`])))
  const files = await open().read(uri(name(19)))
  expect(files.map(({ path }) => basename(path))).toEqual(Array.from({ length: 16 }, (_, i) => name(18 - i)))
  expect(files[0]!.text).toBe('line 18\nnext\nlast')
})

test('where these are few, are those of folders around too, the nearest first, as far as the project goes', async () => {
  await put({
    'outside.py': '',
    'project/setup.py': '',
    'project/src/one.py': '',
    'project/src/two.py': '',
    'project/src/deep/er/far.py': '',
    'project/src/deep/near.py': '',
    'project/test/test_one.py': '',
    'project/node_modules/x/bad.py': '',
    'project/.venv/bad.py': '',
    'project/src/.env.py': '',
    'project/build/made.py': '',
  })
  expect(await beside('project/src/one.py'), 'no project').toEqual(['two.py'])
  await put({ 'project/.git/HEAD': '', 'project/.gitignore': 'build/\n' })
  const inProject = ['two.py', 'near.py', 'setup.py', 'test_one.py', 'far.py']
  expect(await beside('project/src/one.py')).toEqual(inProject)
  await rm(join(root, 'project/.git'), { recursive: true })
  const workspace = filesBeside(() => now, [root, join(root, 'project')])
  expect((await workspace.read(uri('project/src/one.py'))).map(({ path }) => basename(path))).toEqual(inProject)
})

test('a home, and what lies above it, is no project', async () => {
  await put({
    'users/me/main.py': '',
    'users/me/beside.py': '',
    'users/me/letters/private.py': '',
    'users/me/.git/HEAD': '',
  })
  const [home, profile] = [process.env.HOME, process.env.USERPROFILE]
  try {
    process.env.HOME = process.env.USERPROFILE = join(root, 'users/me')
    for (const folders of [[], [join(root, 'users/me')], [join(root, 'users')]]) {
      const files = await filesBeside(() => now, folders).read(uri('users/me/main.py'))
      expect(files.map(({ path }) => basename(path))).toEqual(['beside.py'])
    }
  } finally {
    Object.assign(process.env, { HOME: home, USERPROFILE: profile })
    if (profile === undefined) delete process.env.USERPROFILE
  }
})

test('are no more than sixteen of many folders, and beside the document first', async () => {
  const folders = Array.from({ length: 80 }, (_, i) => `p${i}/f${i}.py`)
  await put({
    '.git/HEAD': '',
    'src/main.py': '',
    'src/first.py': '',
    ...Object.fromEntries(folders.map((name) => [name, ''])),
  })
  const files = await open().read(uri('src/main.py'))
  expect(files).toHaveLength(16)
  expect(basename(files[0]!.path)).toBe('first.py')
})

test('are none beside what is no file, or where there is nothing', async () => {
  for (const strange of ['untitled:Untitled-1', 'file://host/%', uri('nowhere/at/all.py'), uri('Makefile')])
    expect([await open().read(strange), open().of(strange)]).toEqual([[], []])
})

test('are told at once as far as they are known, and looked at again after a while', async () => {
  await put({ 'a.py': 'before' })
  const files = open()
  const texts = () => files.of(uri('main.py')).map(({ text }) => text)
  expect(texts()).toEqual([])
  await files.read(uri('main.py'))
  expect(texts()).toEqual(['before'])
  await put({ 'a.py': 'after' })
  expect(texts()).toEqual(['before'])
  now += 31_000
  expect(texts(), 'what is known, while it is looked at again').toEqual(['before'])
  await expect.poll(texts).toEqual(['after'])
})
