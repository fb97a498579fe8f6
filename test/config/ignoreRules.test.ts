import { expect, test } from 'vitest'
import { IgnoreRules, type Patterns } from '../../server/config/ignoreRules.ts'
import { secretName } from '../../server/config/secretNames.ts'

const match = async (path: string, ...lists: [folder: string, text: string][]) =>
  (await IgnoreRules.make(lists.map(([folder, text]): Patterns => ({ folder, text })))).match(path)

// Expected values are what `git check-ignore --no-index` of Git 2 says.
test('patterns of the root', async () => {
  const root: [string, string] = ['', '# a comment\n*.log\r\n/only\nbuild/\n!keep.log\ndocs/*.txt\n']
  expect(await match('a.log', root)).toBe('ignored')
  expect(await match('deep/er/a.log', root)).toBe('ignored')
  expect(await match('keep.log', root)).toBe('unignored')
  expect(await match('only', root)).toBe('ignored')
  expect(await match('deep/only', root)).toBe('unsaid')
  expect(await match('build/x/y', root)).toBe('ignored')
  expect(await match('build', root)).toBe('unsaid')
  expect(await match('docs/a.txt', root)).toBe('ignored')
  expect(await match('docs/deep/a.txt', root)).toBe('unsaid')
})

test('patterns of a folder hold from there on, and count for more', async () => {
  const lists: [string, string][] = [
    ['', '*.py\n'],
    ['a [1]', '!good.py\n/here\nany\nx/y\n'],
  ]
  expect(await match('a [1]/good.py', ...lists)).toBe('unignored')
  expect(await match('a [1]/b/good.py', ...lists)).toBe('unignored')
  expect(await match('good.py', ...lists)).toBe('ignored')
  expect(await match('a [1]/here', ...lists)).toBe('ignored')
  expect(await match('a [1]/b/here', ...lists)).toBe('unsaid')
  expect(await match('a [1]/b/any', ...lists)).toBe('ignored')
  expect(await match('any', ...lists)).toBe('unsaid')
  expect(await match('a [1]/x/y', ...lists)).toBe('ignored')
  expect(await match('a [1]/b/x/y', ...lists)).toBe('unsaid')
})

test('what lies in an ignored folder stays ignored', async () => {
  expect(await match('out/keep.py', ['', 'out/'], ['out', '!keep.py'])).toBe('ignored')
})

test('no pattern, no opinion; nor of what is no path below', async () => {
  expect(await match('a.py', ['', '\n  \n# x\n'])).toBe('unsaid')
  for (const path of ['', '../a', '/a']) expect(await match(path, ['', '*'])).toBe('unsaid')
})

test('many patterns are made ready without holding anybody up', async () => {
  const text = Array.from({ length: 2000 }, (_, i) => `dir${i}/*.gen`).join('\n')
  let turns = 0
  const counting = setInterval(() => turns++, 0)
  expect(await match('dir1000/a.gen', ['', text])).toBe('ignored')
  expect(await match('dir1999/a.gen', ['', text]), 'beyond what is read').toBe('unsaid')
  clearInterval(counting)
  expect(turns).toBeGreaterThan(10)
})

test('patterns made to be slow are left out, and the others hold', async () => {
  const slow = [`${'*a'.repeat(30)}b`, 'x'.repeat(10_000), '*?*?*?*?*?*?b'].join('\n')
  const began = performance.now()
  const path = 'a'.repeat(255)
  expect(await match(path, ['', `${slow}\n*.log\n*a*a*a*b\n`])).toBe('unsaid')
  expect(await match('x.log', ['', `${slow}\n*.log\n`])).toBe('ignored')
  const deep = `${'a/'.repeat(1000)}b`
  expect(await match(deep, ['', '**/a/**/c\n'])).toBe('unsaid')
  expect(await match(`${'a/'.repeat(50)}b`, ['', '**/a/**/a/**/a/**/c\n**/a/**/b\n'])).toBe('ignored')
  expect(performance.now() - began).toBeLessThan(2000)
})

test('names of files with secrets', () => {
  const secret = ['.env', '.env.local', '.ENV', 'server.pem', 'x.key', '.npmrc', '.netrc', 'id_rsa', 'id_ed25519.pub']
  for (const name of secret) expect(secretName(['home', name]), name).toBe(`${name} is a name of files with secrets`)
  expect(secretName(['me', '.ssh', 'config'])).toBe('.ssh is a folder of secrets')
  for (const name of ['env.ts', 'id_map.py', 'keys.ts', 'pem.go', 'monkey', 'valid_rsa', 'environment.ts'])
    expect(secretName(['home', name]), name).toBeUndefined()
  expect(secretName(['.environments', 'id_work', 'main.py'])).toBeUndefined()
})
