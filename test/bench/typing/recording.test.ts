import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { seededRandom } from '../stats.ts'
import { Buffer } from './buffer.ts'
import { type Key, record, type Source } from './recording.ts'

const source: Source = {
  name: 'graph.ts',
  languageId: 'typescript',
  text: readFileSync(fileURLToPath(new URL('../files/graph.ts.txt', import.meta.url)), 'utf8'),
}
const seeds = [1, 2, 3, 4, 5, 6, 7, 8]
const recordings = seeds.map((seed) => record(source, 300, seededRandom(seed)))

function played(start: string, keys: readonly Key[]): Buffer {
  const buffer = new Buffer(start)
  for (const key of keys) buffer.press(key)
  return buffer
}

test('playing a recording restores the file', () => {
  for (const { start, keys } of recordings) {
    expect(start).not.toBe(source.text)
    expect(played(start, keys).text).toBe(source.text)
  }
})

test('the same seed gives the same recording, another seed another one', () => {
  expect(record(source, 300, seededRandom(1))).toEqual(recordings[0])
  expect(recordings[1]!.keys).not.toEqual(recordings[0]!.keys)
})

test('there are jumps, pastes, undo, slips and corrections among the keys', () => {
  const kinds = new Set(recordings.flatMap(({ keys }) => keys.map(({ kind }) => kind)))
  expect([...kinds].toSorted()).toEqual(
    ['backspace', 'break', 'character', 'jump', 'open', 'paste', 'typo', 'undo'].toSorted(),
  )
})

test('what is still wanted is what the line becomes', () => {
  for (const { start, keys } of recordings) {
    const buffer = new Buffer(start)
    const finished = new Set(source.text.split('\n'))
    for (const key of keys) {
      buffer.press(key)
      if (key.todo === undefined) continue
      const { character } = buffer.cursor
      expect(finished).toContain(buffer.line.slice(0, character) + key.todo + buffer.line.slice(character))
    }
  }
})

test('every slip is taken back, key by key', () => {
  for (const { keys } of recordings) {
    const count = (kind: Key['kind']) => keys.filter((key) => key.kind === kind).length
    expect(count('backspace')).toBe(count('typo'))
    for (const key of keys) expect(key.todo === undefined).toBe(key.kind === 'typo' || slipStands(keys, key))
  }
})

/** Of two slips in a row the second is taken back first, and the first still stands then. */
function slipStands(keys: readonly Key[], key: Key): boolean {
  return key.kind === 'backspace' && keys[keys.indexOf(key) + 1]?.kind === 'backspace'
}

test('as many characters are typed as were asked for, or one place more', () => {
  for (const { keys } of recordings) {
    const typed = keys.filter(({ kind }) => kind === 'character' || kind === 'break').length
    expect(typed).toBeGreaterThan(250) // a line break brings its indentation with one key
    expect(typed).toBeLessThan(300 + 3 * 110)
  }
})

test('a file too short for that has fewer', () => {
  const small = { ...source, text: source.text.split('\n').slice(0, 40).join('\n') }
  const { keys } = record(small, 5000, seededRandom(1))
  const visits = keys.filter(({ kind }) => kind === 'open' || kind === 'jump').length
  expect(visits).toBeGreaterThan(1)
  expect(visits).toBeLessThan(10)
})

test('a person types at the pace of the studies: about 200 to 350 ms from key to key', () => {
  const keys = recordings.flatMap(({ keys }) => keys)
  const mean = keys.reduce((sum, { waitMs }) => sum + waitMs, 0) / keys.length
  expect(mean).toBeGreaterThan(200)
  expect(mean).toBeLessThan(350)
})
