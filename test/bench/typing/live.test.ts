/** The person and the editor, in front of a server that knows what will be written. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { seededRandom } from '../stats.ts'
import type { Change } from './buffer.ts'
import type { EditorSession, Reply } from './editor.ts'
import { type Played, playLive } from './live.ts'
import { liveFigures } from './liveFigures.ts'
import { type Place, record } from './recording.ts'

const text = readFileSync(fileURLToPath(new URL('../files/graph.ts.txt', import.meta.url)), 'utf8')
const source = { name: 'graph.ts', languageId: 'typescript', text }
const recording = record(source, 200, seededRandom(5))
const speed = 120

/** Of a place, asked after so many requests before. */
type Answers = (line: string, place: Place, request: number) => Reply

/** Keeps the document as a server does, so that a change told wrongly shows. */
function server(answers: Answers): Pick<EditorSession, 'open' | 'change' | 'inline'> & { lines: string[] } {
  let requests = 0
  return {
    lines: [],
    async open(_, opened) {
      this.lines = opened.split('\n')
    },
    async change({ start, end, text }: Change) {
      const before = [...this.lines.slice(0, start.line), this.lines[start.line]!.slice(0, start.character)].join('\n')
      const after = [this.lines[end.line]!.slice(end.character), ...this.lines.slice(end.line + 1)].join('\n')
      this.lines = (before + text + after).split('\n')
    },
    async inline(place) {
      return answers(this.lines[place.line]!, place, requests++)
    },
  }
}

function play(answers: Answers): Promise<Played> {
  const passes = { steps: 0, stepRows: 0, encodedRows: 0 }
  const options = { clientDelayMs: 0, speed, reaction: () => 2 }
  return playLive(server(answers), passes, [recording], options)
}

/** The rest of the first line of the finished file that begins like this one. */
const knowing: Answers = (line, place) => {
  const left = line.slice(0, place.character)
  const known = text.split('\n').find((other) => left.trim().length > 3 && other.startsWith(left) && other !== left)
  if (!known || place.character !== line.length) return { kind: 'nothing' }
  return { kind: 'offer', offer: { place, text: known.slice(left.length), replaces: 0 } }
}
const figures = (played: Played) => liveFigures(played, { processorMs: 0, typed: 1 })

test('without ghost text every recorded key is pressed', async () => {
  const played = await play(() => ({ kind: 'nothing' }))
  expect(played.keys).toBe(recording.keys.length)
  expect(figures(played)).toMatchObject({ keystrokes_saved_percent: 0, ghosts_per_100_keys: 0, taken: 0 })
})

test('right ghost text is taken after a reaction time, and saves keys', async () => {
  const played = await play(knowing)
  expect(played.taken.length).toBeGreaterThan(0)
  expect(played.keys).toBeLessThan(recording.keys.length)
  const { keystrokes_saved_percent: saved } = figures(played)
  expect(saved).toBeGreaterThan(0)
})

test('wrong ghost text is never taken, and counted', async () => {
  const played = await play((_, place) => ({ kind: 'offer', offer: { place, text: '@@@', replaces: 0 } }))
  expect(played.taken).toEqual([])
  expect(played.keys).toBe(recording.keys.length)
  const { ghosts_right_percent, wrong_ghosts_per_100_keys, flickers_per_100_keys } = figures(played)
  expect(ghosts_right_percent).toBe(0)
  expect(wrong_ghosts_per_100_keys).toBeGreaterThan(90) // one a key: what is typed never fits the one before
  expect(flickers_per_100_keys).toBe(0)
})

test('a server that changes its mind while the person types along makes ghost text flicker', async () => {
  const answers: Answers = (line, place, request) => {
    const known = knowing(line, place, request)
    return request % 2 === 0 || known.kind !== 'offer' ? known : { kind: 'nothing' }
  }
  const { flickers_per_100_keys, flickers_withdrawn } = figures(await play(answers))
  expect(flickers_per_100_keys).toBeGreaterThan(10)
  expect(flickers_withdrawn).toBeGreaterThan(0)
})

test('a request that is cancelled leaves what is shown', async () => {
  const answers: Answers = (line, place, request) =>
    request % 2 === 0 ? knowing(line, place, request) : { kind: 'cancelled' }
  expect(figures(await play(answers)).flickers_per_100_keys).toBe(0)
})
