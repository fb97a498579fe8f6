import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Result } from './benchmark.ts'
import { ResultFile } from './resultFile.ts'

let folder: string
const facts = { benchmark: 'b', seed: 1, answerers: { lacuna: { model: 'm' } } }
const result = (key: string): Result => ({
  case: key,
  group: 'g',
  answerer: 'lacuna',
  text: 'é',
  score: { exact: true },
  ms: 1,
})

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lacuna-results-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('a run goes on where it was cut off, even inside a line', () => {
  const path = join(folder, 'deep', 'results.jsonl')
  const first = new ResultFile(path, facts, false)
  first.append(result('a'))
  appendFileSync(path, '{"case":"é')
  const second = new ResultFile(path, facts, false)
  expect(second.has('a', 'lacuna')).toBe(true)
  expect(second.has('a', 'base')).toBe(false)
  expect(second.has('b', 'lacuna')).toBe(false)
  second.append(result('b'))
  expect(
    readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([...[{ run: facts }, result('a'), result('b')]])
})

test('results of another run are not mixed in, unless the file is begun anew', () => {
  const path = join(folder, 'results.jsonl')
  new ResultFile(path, facts, false).append(result('a'))
  expect(() => new ResultFile(path, { ...facts, seed: 2 }, false)).toThrow(/another seed \(1, now 2\)/)
  expect(() => new ResultFile(path, { ...facts, limit: 5 }, false)).toThrow(/another limit \(none, now 5\)/)
  expect(new ResultFile(path, { ...facts, seed: 2 }, true).results).toEqual([])
})

test('answerers may join, but not change', () => {
  const path = join(folder, 'results.jsonl')
  new ResultFile(path, facts, false).append(result('a'))
  const both = { ...facts, answerers: { ...facts.answerers, base: { model: 'm' } } }
  expect(new ResultFile(path, both, false).results).toEqual([result('a')])
  expect(new ResultFile(path, { ...facts, answerers: { base: { model: 'm' } } }, false).results).toEqual([result('a')])
  expect(new ResultFile(path, facts, false).results).toEqual([result('a')])
  for (const name of ['lacuna', 'base'])
    expect(() => new ResultFile(path, { ...facts, answerers: { [name]: { model: 'n' } } }, false)).toThrow(
      new RegExp(`another ${name} `),
    )
})

test('a file of something else is left as it is', () => {
  const path = join(folder, 'notes.txt')
  writeFileSync(path, 'notes\n')
  expect(() => new ResultFile(path, facts, false)).toThrow(/holds no results/)
  expect(readFileSync(path, 'utf8')).toBe('notes\n')
})
