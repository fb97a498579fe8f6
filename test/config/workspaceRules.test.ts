/** Private files on a real disk: which they are, that changes are seen, and that links and odd files surprise nobody. */
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { WorkspaceRules } from '../../server/config/workspaceRules.ts'

let root: string
let now = 0
beforeEach(async () => void (root = await realpath(await mkdtemp(join(tmpdir(), 'lacuna-rules-')))))
afterEach(() => rm(root, { recursive: true, force: true }))

async function put(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), text)
  }
}

function open(options: { folders?: string[]; user?: string[]; merged?: string[] } = {}) {
  const warnings: string[] = []
  const rules = new WorkspaceRules({
    folders: () => (options.folders ?? ['']).map((folder) => join(root, folder)),
    ignored: () => ({ user: options.user ?? [], merged: options.merged ?? [] }),
    now: () => now,
    warn: (sentences) => void warnings.push(...sentences),
  })
  const uri = (name: string) => pathToFileURL(join(root, name)).href
  return { rules, uri, warnings, why: async (name: string) => (await rules.of(uri(name))).private }
}

test('secret names, wherever they lie', async () => {
  const { why, rules } = open({ folders: [] })
  expect(await why('.env.local')).toBe('.env.local is a name of files with secrets')
  expect(await why('main.py')).toBeUndefined()
  expect((await rules.of('vscode-remote://x/home/me/.env?a=b')).private).toContain('.env')
  expect((await rules.of('untitled:Untitled-1')).private).toBeUndefined()
  expect((await rules.of('file://host/%')).private).toBeUndefined()
})

test('ignore files of all folders down from the repository, and those beside them', async () => {
  await put({
    '.gitignore': '*.gen.ts\n/out\n',
    'app/.gitignore': '!kept.gen.ts\nlocal\n',
    '.git/info/exclude': 'notes.md\n',
    '.lacunaignore': 'legal/\n',
    'app/.lacunaignore': '/vendored\n',
  })
  const { why, rules, uri } = open({ folders: ['app'] })
  expect(await why('app/a.gen.ts')).toBe('Git ignores it')
  expect(await why('app/kept.gen.ts')).toBeUndefined()
  expect(await why('app/deep/local')).toBe('Git ignores it')
  expect(await why('notes.md')).toBe('Git ignores it')
  expect(await why('out/a/b.py')).toBe('Git ignores it')
  expect(await why('app/legal/a.py')).toBe('.lacunaignore names it')
  expect(await why('app/vendored/a.py')).toBe('.lacunaignore names it')
  expect(await why('app/main.py')).toBeUndefined()
  expect((await rules.of(uri('app/main.py'))).files).toEqual(
    ['.git/info/exclude', '.gitignore', 'app/.gitignore', '.lacunaignore', 'app/.lacunaignore'].map((name) =>
      join(root, name),
    ),
  )
})

test('agrees with Git itself', async () => {
  const patterns = [
    '*.o',
    '!a.o',
    '/top',
    'mid/dle',
    'dir/',
    '**/deep/x',
    'sp\\ ace',
    'tr  ',
    '\\#h',
    '!/dir/in',
    'q?',
    '[ab]c',
  ]
  await put({ '.gitignore': patterns.join('\n'), 'sub/.gitignore': '!b.o\n/top2\nx*/\n*.txt\n!keep.txt\n' })
  execFileSync('git', ['init', '-q', root])
  const names = [
    'a.o',
    'b.o',
    'sub/a.o',
    'sub/b.o',
    'top',
    'sub/top',
    'mid/dle',
    'sub/mid/dle',
    'dir/in',
    'sub/dir/f',
    'dir2',
  ]
  names.push('deep/x', 'sub/deep/x', 'sp ace', 'tr', '#h', 'qq', 'ac', 'sub/bc', 'cc', 'sub/top2', 'top2', 'sub/xy/f')
  names.push('sub/t.txt', 'sub/d/keep.txt', 't.txt', 'sub/d/e/k.txt')
  const { why } = open({ folders: [] })
  const ignored = names.filter((name) => {
    try {
      execFileSync('git', ['-C', root, 'check-ignore', '-q', '--no-index', name])
      return true
    } catch {
      return false
    }
  })
  const ours: string[] = []
  for (const name of names) if ((await why(name)) === 'Git ignores it') ours.push(name)
  expect(ours).toEqual(ignored)
  expect(ours.length).toBeGreaterThan(8)
})

test('a workspace without a repository has its ignore files all the same', async () => {
  await put({ '.gitignore': 'dist\n' })
  expect(await open().why('dist/a.js')).toBe('Git ignores it')
  expect(await open({ folders: [] }).why('dist/a.js')).toBeUndefined()
})

test("the setting: the user's may take files out, the workspace's may not", async () => {
  await put({ '.gitignore': 'gen/\n', '.lacunaignore': 'no.py\n' })
  const { why } = open({ user: ['*.sql', '!.env.example', '!gen/**', '!no.py'], merged: ['/legal', '!.env'] })
  expect(await why('a/b.sql')).toBe('the setting "ignored" names it')
  expect(await why('.env.example')).toBeUndefined()
  expect(await why('.env')).toContain('secrets')
  expect(await why('legal/x.py')).toBe('the setting "ignored" names it')
  expect(await why('a/legal/x.py')).toBeUndefined()
  expect(await why('no.py'), 'what a workspace restricts holds').toBe('.lacunaignore names it')
})

test('.lacuna.json restricts, and whatever else it holds is named', async () => {
  await put({
    '.lacuna.json': '{ "languages": { "go": "off" }, "ignored": ["a/*"], "endpoint": "https://evil", "model": "x" }',
    'inner/.lacuna.json': '{ "mode": "manual",\n  oops }',
  })
  const { rules, why, uri, warnings } = open({ folders: ['', 'inner'] })
  expect(await why('a/x.py')).toBe('.lacuna.json names it')
  const { restrictions, files } = await rules.of(uri('b.py'))
  expect(restrictions).toEqual([{ languages: { go: 'off' }, ignored: ['a/*'] }])
  expect(files).toEqual([join(root, '.lacuna.json')])
  expect(warnings.slice(-2)).toEqual([
    `${root}/.lacuna.json: endpoint: no such setting; there are mode, languages, ignored`,
    `${root}/.lacuna.json: model: not allowed in a workspace, which may only restrict (mode, languages, ignored); ignored`,
  ])
  expect((await rules.of(uri('inner/x.py'))).restrictions).toEqual([{}, restrictions[0]])
  expect(warnings).toContain(
    `${root}/inner/.lacuna.json:2:3: wanted a name in double quotes, found "o"; the file is ignored until that is mended`,
  )
})

test('a change is seen after a second, and at once when somebody tells', async () => {
  const { rules, why, uri } = open()
  expect(await why('a.py')).toBeUndefined()
  await put({ '.lacunaignore': 'a.py' })
  expect(rules.of(uri('a.py')), 'known: no promise, no disk').toMatchObject({ private: undefined })
  now += 1000
  expect(rules.of(uri('a.py')), 'looked at behind it').toMatchObject({ private: undefined })
  await expect.poll(() => why('a.py')).toBe('.lacunaignore names it')
  await rm(join(root, '.lacunaignore'))
  rules.changed()
  expect(await why('a.py')).toBeUndefined()
})

test('of a link both ends count', async () => {
  await put({ 'secret/.env': 'A=1', 'repo/.gitignore': 'linked.py\n', 'repo/.git/HEAD': '', 'plain.py': '' })
  await symlink(join(root, 'secret/.env'), join(root, 'repo/settings.txt'))
  await symlink(join(root, 'plain.py'), join(root, 'repo/linked.py'))
  await symlink(join(root, 'repo'), join(root, 'way'))
  const { why } = open()
  expect(await why('repo/settings.txt')).toContain('.env')
  expect(await why('repo/linked.py')).toBe('Git ignores it')
  expect(await why('way/linked.py')).toBe('Git ignores it')
  expect(await why('way/new/.env')).toContain('.env')
})

test('an ignore file that is a link, a folder or a FIFO is not followed, and holds up nobody', async () => {
  await put({ 'evil.txt': '*\n', 'b/x': '' })
  await symlink(join(root, 'evil.txt'), join(root, '.lacunaignore'))
  await mkdir(join(root, '.gitignore'))
  execFileSync('mkfifo', [join(root, 'b/.gitignore')])
  await symlink('/dev/zero', join(root, '.lacuna.json'))
  const { why, warnings } = open()
  expect(await why('b/x')).toBeUndefined()
  expect(warnings).toEqual([`${root}/.lacuna.json: a link, which is not followed; wanted a file; the file is ignored`])
})
