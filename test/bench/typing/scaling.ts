/** How a keystroke's time grows with the file, the canvas and the threads, at the same places with the same text around. */
import { type OpenRooms, openRooms } from '../../../server/cli/openRooms.ts'
import { seededRandom } from '../stats.ts'
import { Buffer } from './buffer.ts'
import { openEditor } from './editor.ts'
import { latency, patient, type Stroke, stroke, times } from './latency.ts'
import { type Key, placeOf, type Recording, record, type Source } from './recording.ts'

export const fileLengths = [100, 1000, 10_000] as const
const keysAtAPlace = 10
const coreLines = 90 // around the place, the same in files of every length: more than a model reads

/**
 * Files of 100, 1,000 and 10,000 lines, typed into in turn so that a machine that slows down slows all of them. The key
 * that opens the file does not count; what was read for one file is forgotten before the next.
 */
export async function byFileLength(
  rooms: OpenRooms,
  all: readonly Source[],
  places: number,
  seed: number,
  told: (keys: number, of: number) => void = () => {},
) {
  const sources = all.filter(({ text }) => text.split('\n').length >= coreLines)
  const filler = sources.flatMap(({ text }) => text.split('\n'))
  const random = seededRandom(seed)
  const strokes = new Map<number, Stroke[]>(fileLengths.map((length) => [length, []]))
  const editor = await openEditor(rooms, patient)
  for (let turn = 0; turn < places; turn++) {
    const source = sources[Math.floor(random() * sources.length)]!
    const core = drawCore(source, random)
    const { languageId } = source // it lies nowhere: nothing is heard beside it
    const order = fileLengths.map((_, i) => fileLengths[(i + turn) % fileLengths.length]!)
    for (const length of order) {
      rooms.prefixes.clear()
      rooms.suffixes.clear()
      const above = Math.ceil((length - coreLines) / 2)
      const before = linesOf(filler, above) + core.before
      const buffer = new Buffer(before + core.after + linesOf(filler, length - coreLines - above))
      const place = placeOf(before, before.length)
      const keys = core.typed.map((insert): Key => ({ kind: 'character', waitMs: 0, remove: 0, insert, todo: '' }))
      await stroke(editor, buffer, { languageId }, { ...keys[0]!, kind: 'open', place, insert: '' })
      for (const key of keys) strokes.get(length)!.push(await stroke(editor, buffer, { languageId }, key))
      told([...strokes.values()].flat().length, places * fileLengths.length * keysAtAPlace)
    }
  }
  await editor.close()
  const figures = new Map([...strokes].map(([length, all]) => [length, figuresOf(all)]))
  const ratio = (name: 'p50_ms' | 'p95_ms') => {
    const [short, long] = [figures.get(100)!.ghost, figures.get(10_000)!.ghost]
    return short.count && long.count ? Math.round((100 * long[name]!) / short[name]!) / 100 : undefined
  }
  return {
    lines: Object.fromEntries(figures),
    p50_of_10000_over_100: ratio('p50_ms'),
    p95_of_10000_over_100: ratio('p95_ms'),
  }
}

/** Each canvas size or thread count over the same keys, in an engine of its own. */
export async function byOption(
  dir: string,
  recordings: readonly Recording[],
  options: Readonly<Record<string, { readonly canvasSlots?: number; readonly threads?: number }>>,
) {
  const figures: Record<string, ReturnType<typeof figuresOf>> = {}
  for (const [name, option] of Object.entries(options)) {
    const rooms = await openRooms(dir, { cache: true, ...option })
    figures[name] = figuresOf(await latency(rooms, recordings))
    await rooms.close()
  }
  return figures
}

/** A few keys in each file: short enough for every option. */
export function shortRecordings(sources: readonly Source[], seed: number): Recording[] {
  return sources.map((source, i) => record(source, 60, seededRandom(seed + i)))
}

function figuresOf(strokes: readonly Stroke[]) {
  const asked = strokes.filter(({ filled, kind }) => filled && kind !== 'open' && kind !== 'jump')
  return {
    ghost: times(asked.filter(({ shown }) => shown)),
    any_answer_of_the_model: times(asked),
    type_through: times(strokes.filter(({ filled, shown }) => !filled && shown)),
  }
}

interface Core {
  readonly before: string
  readonly typed: readonly string[]
  readonly after: string
}

/** The lines around a place in the middle of a line, with the characters that are typed there. */
function drawCore({ text }: Source, random: () => number): Core {
  const lines = text.split('\n')
  for (;;) {
    const first = Math.floor(random() * (lines.length - coreLines + 1))
    const at = coreLines / 2
    const core = lines.slice(first, first + coreLines)
    const line = core[at]!
    const indent = /^\s*/.exec(line)![0].length
    if (line.length - indent < keysAtAPlace + 4 || line.length > 120) continue
    const cut = indent + 1 + Math.floor(random() * (line.length - indent - keysAtAPlace - 1))
    return {
      before: `${core.slice(0, at).join('\n')}\n${line.slice(0, cut)}`,
      typed: [...line.slice(cut, cut + keysAtAPlace)],
      after: `\n${core.slice(at + 1).join('\n')}\n`,
    }
  }
}

/** So many lines, over and over where there are too few. */
function linesOf(lines: readonly string[], count: number): string {
  return Array.from({ length: Math.max(0, count) }, (_, i) => `${lines[i % lines.length]!}\n`).join('')
}
