/**
 * `npm run bench`: speed, memory and what a person gains, on this machine, as ratios wherever machines differ.
 * `-- --help` tells the options.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { type OpenRooms, openRooms } from '../../server/cli/openRooms.ts'
import { resolveModel } from '../../server/model/store.ts'
import { batch } from './batch.ts'
import { commandLine, fail, settingsOf } from './options.ts'
import { stalled } from './stalled.ts'
import { rounded } from './stats.ts'
import { stepCost } from './stepCost.ts'
import { table } from './table.ts'
import type { Flicker, Sight } from './typing/ghost.ts'
import type { Recording } from './typing/recording.ts'
import { byFileLength, byOption, shortRecordings } from './typing/scaling.ts'
import { allSources, drawSources } from './typing/sources.ts'
import { live, recordingsOf, typing } from './typing/typing.ts'

const parts = ['typing', 'live', 'length', 'canvas', 'threads', 'batch', 'steps', 'stalled'] as const
type Part = (typeof parts)[number]
const scaling: readonly Part[] = ['length', 'canvas', 'threads', 'batch']

const help = `npm run bench -- [options]
  --only PARTS        of ${parts.join(',')}, or scaling; default all:
                        typing   key to answer, waiting for each (three languages, jumps, pastes, undo)
                        live     a person at work in real time: keystrokes saved, wrong ghosts, flickers, processor
                        scaling  ${scaling.join(',')}: a keystroke by lines of the file, slots of the canvas and threads;
                                 several jobs in one step
                        stalled  the menu's wait for an engine that says nothing
                        steps    a step by rows, against the weights alone and against no cache
  --folder DIR        types the Python, TypeScript and JavaScript files of DIR (default: this repository's)
  --languages LIST    of python,typescript,javascript
  --files N           files of each language (default 2)
  --characters N      typed in each file at least, pasted ones aside (default 120)
  --seed N            of files, places, slips and intervals (default 7)
  --settings JSON     settings of the server in the live part (default {})
  --client-delay MS   the editor's rest after a key before it asks, in the live part (0; Neovim 0.12 has 200)
  --examples N        shows so many wrong ghosts and flickers of the live part, on stderr
  --json              one object
`

const { values } = commandLine(help, {
  options: {
    only: { type: 'string', default: parts.join(',') },
    folder: { type: 'string' },
    languages: { type: 'string', default: 'python,typescript,javascript' },
    files: { type: 'string', default: '2' },
    characters: { type: 'string', default: '120' },
    seed: { type: 'string', default: '7' },
    settings: { type: 'string', default: '{}' },
    'client-delay': { type: 'string', default: '0' },
    examples: { type: 'string', default: '0' },
    json: { type: 'boolean' },
  },
})
const wanted = new Set<string>(
  values.only.split(',').flatMap((part): readonly string[] => (part === 'scaling' ? scaling : [part])),
)
for (const part of wanted)
  if (!parts.includes(part as Part)) fail(`--only ${part}: there are ${parts.join(', ')}, and scaling`)
const [files, characters, seed, clientDelayMs, examples] = [
  whole('files', 1),
  whole('characters', 1),
  whole('seed', 0),
  whole('client-delay', 0),
  whole('examples', 0),
]
const settings = settingsOf(values.settings)
// Runs from the build folder.
const root = fileURLToPath(new URL('../', import.meta.url))
const languages = values.languages.split(',')
const sources = allSources(root, values.folder).filter(({ languageId }) => languages.includes(languageId))
if (sources.length === 0) fail(`no file of ${values.languages} with enough lines in ${values.folder ?? root}`)
const recordings = recordingsOf(sources, { seed, files, characters })

const dir = await resolveModel()
const measures: Readonly<Record<Part, (rooms: OpenRooms) => Promise<object>>> = {
  typing: (rooms) => typing(rooms, recordings, progress('typing')),
  async live(rooms) {
    const { figures, ghosts, flickers } = await live(
      rooms,
      recordings,
      { settings, clientDelayMs, seed },
      progress('live'),
    )
    showExamples(ghosts, flickers, examples)
    return figures
  },
  length: (rooms) => byFileLength(rooms, sources, 4 * files, seed, progress('length')),
  canvas: () => byOption(dir, short(), { 8: { canvasSlots: 8 }, 16: { canvasSlots: 16 }, 24: { canvasSlots: 24 } }),
  threads: () => byOption(dir, short(), { 1: { threads: 1 }, 2: { threads: 2 } }),
  batch,
  stalled: () => stalled(1000),
  async steps(rooms) {
    const text = readFileSync(`${root}test/bench/files/graph.ts.txt`, 'utf8')
    const offsets = [...text.matchAll(/ = g\.op\('/g)]
      .map(({ index }) => index + 8)
      .filter((_, i) => i % 5 === 0)
      .slice(0, 6)
    const began = performance.now()
    execFileSync(process.execPath, [`${root}dist/main.js`, 'complete', `${root}test/bench/files/stack.py:21:16`])
    return { cold_ms: rounded(performance.now() - began, 0), ...(await stepCost(rooms, text, offsets)) }
  },
}

const rooms = await openRooms(dir)
const figures: Record<string, object | string> = {
  machine: `${cpus()[0]?.model.trim()}, ${availableParallelism()} threads, node ${process.version}`,
  model: `${rooms.model.name}, canvas of ${rooms.model.canvasSlots}`,
}
for (const part of parts) {
  if (!wanted.has(part)) continue
  if (part === 'live') process.stderr.write(`live: takes about ${Math.ceil(secondsOf(recordings))} s\n`)
  figures[part] = await measures[part](rooms)
}
await rooms.close()
figures.memory = { rss_mb: rounded(process.memoryUsage.rss() / 1e6, 0) }
process.stdout.write(values.json ? `${JSON.stringify(figures)}\n` : table(figures))

function secondsOf(recordings: readonly Recording[]): number {
  return recordings.reduce((sum, { keys }) => sum + keys.reduce((ms, { waitMs }) => ms + waitMs, 0), 0) / 1000
}

function short() {
  return shortRecordings(drawSources(sources, 1, seed), seed)
}

function progress(part: string): (done: number, of: number) => void {
  let told = 0
  return (done, of) => {
    if (done - told < 100) return
    told = done
    process.stderr.write(`${part}: ${done} of ${of} keys\n`)
  }
}

/** Every n-th of them. */
function showExamples(ghosts: readonly Sight[], flickers: readonly Flicker[], count: number): void {
  const some = <Item>(items: readonly Item[]) => items.filter((_, i) => i % Math.ceil(items.length / count) === 0)
  const quoted = (text: string) => JSON.stringify(text)
  for (const { line, text, wanted } of some(ghosts.filter(({ verdict }) => verdict === 'wrong')))
    process.stderr.write(`wrong    ${quoted(line)} → ${quoted(text)}, wanted ${quoted(wanted)}\n`)
  for (const { line, from, to, wanted } of some(flickers))
    process.stderr.write(`flicker  ${quoted(line)} ${quoted(from)} → ${quoted(to)}, wanted ${quoted(wanted)}\n`)
}

function whole(name: 'files' | 'characters' | 'seed' | 'client-delay' | 'examples', least: number): number {
  const value = Number(values[name])
  if (!Number.isInteger(value) || value < least) fail(`--${name} ${values[name]}: wanted a whole number from ${least}`)
  return value
}
