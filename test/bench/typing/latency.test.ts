import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { seededRandom } from '../stats.ts'
import { latency, latencyFigures } from './latency.ts'
import { countPasses } from './passes.ts'
import { record } from './recording.ts'
import { byFileLength, fileLengths } from './scaling.ts'
import { scriptedRooms } from './scriptedRooms.ts'

const text = readFileSync(fileURLToPath(new URL('../files/graph.ts.txt', import.meta.url)), 'utf8')
const source = { name: 'graph.ts', languageId: 'typescript', text }

test('every key is answered: by the model, by typing into what it said, or with nothing', async () => {
  const rooms = scriptedRooms('e')
  const passes = countPasses(rooms.engine)
  const recording = record(source, 200, seededRandom(5))
  const strokes = await latency(rooms, [recording])
  expect(strokes).toHaveLength(recording.keys.length)
  const figures = latencyFigures(strokes, (shown) => shown.length)
  const typed = recording.keys.filter(({ kind }) => ['character', 'break', 'typo', 'backspace'].includes(kind)).length
  const { keystroke_to_ghost, given_up, type_through, kept_nothing } = figures
  expect(keystroke_to_ghost.count + given_up.count + type_through.count + kept_nothing).toBe(typed)
  expect(keystroke_to_ghost.count).toBeGreaterThan(typed / 2)
  expect(figures.first_after.open_or_jump.any_answer.count).toBeGreaterThan(1)
  expect(passes.steps).toBe(strokes.reduce((sum, { filled }) => sum + (filled?.steps ?? 0), 0))
  expect(passes.encodedRows).toBeGreaterThan(500)
})

test('the same keys are typed into files of 100, 1,000 and 10,000 lines', async () => {
  const { lines, p50_of_10000_over_100 } = await byFileLength(scriptedRooms('e'), [source], 2, 1)
  expect(Object.keys(lines).map(Number)).toEqual([...fileLengths])
  const counts = Object.values(lines).map(({ any_answer_of_the_model: { count } }) => count)
  expect(new Set(counts).size).toBe(1)
  expect(counts[0]).toBeGreaterThan(10)
  expect(p50_of_10000_over_100).toBeGreaterThan(0)
})
