import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { allSources, digestOf, drawSources, languages } from './sources.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const all = allSources(root)

test('a fresh clone has files of every language to type', () => {
  for (const language of languages)
    expect(all.filter(({ languageId }) => languageId === language).length, language).toBeGreaterThanOrEqual(4)
})

test('as many of each language are drawn, and more begin with the fewer', () => {
  const two = drawSources(all, 2, 7)
  expect(two.map(({ languageId }) => languageId)).toEqual([...languages, ...languages])
  expect(drawSources(all, 1, 7)).toEqual(two.slice(0, 3))
  expect(digestOf(drawSources(all, 2, 7))).toBe(digestOf(two))
  expect(digestOf(drawSources(all, 2, 8))).not.toBe(digestOf(two))
})

test("a folder's own files are typed instead", () => {
  const own = allSources(root, `${root}test/bench`)
  expect(own.map(({ name }) => name)).toContain('bench.ts')
  expect(own.every(({ languageId }) => languageId === 'typescript')).toBe(true)
})
