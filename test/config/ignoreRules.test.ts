import { expect, test } from 'vitest'
import { IgnoreRules, type Patterns } from '../../server/config/ignoreRules.ts'
import { secretName } from '../../server/config/secretNames.ts'

const match = (path: string, ...lists: [folder: string, text: string][]) =>
  new IgnoreRules(lists.map(([folder, text]): Patterns => ({ folder, text }))).match(path)

// Expected values are what `git check-ignore --no-index` of Git 2 says.
test('patterns of the root', () => {
  const root: [string, string] = ['', '# a comment\n*.log\r\n/only\nbuild/\n!keep.log\ndocs/*.txt\n']
  expect(match('a.log', root)).toBe('ignored')
  expect(match('deep/er/a.log', root)).toBe('ignored')
  expect(match('keep.log', root)).toBe('unignored')
  expect(match('only', root)).toBe('ignored')
  expect(match('deep/only', root)).toBe('unsaid')
  expect(match('build/x/y', root)).toBe('ignored')
  expect(match('build', root)).toBe('unsaid')
  expect(match('docs/a.txt', root)).toBe('ignored')
  expect(match('docs/deep/a.txt', root)).toBe('unsaid')
})

test('patterns of a folder hold from there on, and count for more', () => {
  const lists: [string, string][] = [
    ['', '*.py\n'],
    ['a [1]', '!good.py\n/here\nany\nx/y\n'],
  ]
  expect(match('a [1]/good.py', ...lists)).toBe('unignored')
  expect(match('a [1]/b/good.py', ...lists)).toBe('unignored')
  expect(match('good.py', ...lists)).toBe('ignored')
  expect(match('a [1]/here', ...lists)).toBe('ignored')
  expect(match('a [1]/b/here', ...lists)).toBe('unsaid')
  expect(match('a [1]/b/any', ...lists)).toBe('ignored')
  expect(match('any', ...lists)).toBe('unsaid')
  expect(match('a [1]/x/y', ...lists)).toBe('ignored')
  expect(match('a [1]/b/x/y', ...lists)).toBe('unsaid')
})

test('what lies in an ignored folder stays ignored', () => {
  expect(match('out/keep.py', ['', 'out/'], ['out', '!keep.py'])).toBe('ignored')
})

test('no pattern, no opinion; nor of what is no path below', () => {
  expect(match('a.py', ['', '\n  \n# x\n'])).toBe('unsaid')
  for (const path of ['', '../a', '/a']) expect(match(path, ['', '*'])).toBe('unsaid')
})

test('patterns made to be slow are left out, and the others hold', () => {
  const slow = [`${'*a'.repeat(30)}b`, 'x'.repeat(10_000), '*?*?*?*?*?*?b'].join('\n')
  const began = performance.now()
  const path = 'a'.repeat(255)
  expect(match(path, ['', `${slow}\n*.log\n*a*a*a*b\n`])).toBe('unsaid')
  expect(match('x.log', ['', `${slow}\n*.log\n`])).toBe('ignored')
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
