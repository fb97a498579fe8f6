/**
 * Places in real files where a model's text is likely to meet what stands right of the cursor: rests of lines, pieces
 * inside a line, what is missing before closers that an editor has typed by itself, and bodies of blocks. For measures of
 * the filters and for goldens; knows nothing of models.
 */
import type { Scope } from '../../../server/infill/plan.ts'
import { seededRandom } from '../stats.ts'

/** A file of the corpus; `package` tells whose. */
export interface SourceFile {
  readonly languageId: string
  readonly package: string
  readonly path: string
  readonly text: string // LF only
}

export type PlaceKind = 'rest' | 'inside' | 'closers' | 'block'

export interface FilterPlace {
  readonly kind: PlaceKind
  readonly file: SourceFile
  readonly text: string // with the gap closed
  readonly offset: number // UTF-16 units into it
  readonly truth: string // what stood in the gap
  readonly scope: Scope
}

const kinds: readonly PlaceKind[] = ['closers', 'block', 'inside', 'rest']
const longestLine = 120 // UTF-16 units
const longestBlock = 8 // lines
const marks = /[║├┤«»\r]|^(?:----|====)/m

/**
 * Every kind in turn, packages drawn alike however large they are. The same places for the same seed and files, and more
 * of them begin with the fewer.
 *
 * @throws {Error} when the files have too few such places.
 */
export function drawPlaces(files: readonly SourceFile[], count: number, seed: number): FilterPlace[] {
  const usable = files.filter(({ text }) => !marks.test(text))
  const packages = [...new Set(usable.map((file) => file.package))].map((name) =>
    usable.filter((file) => file.package === name),
  )
  const random = seededRandom(seed)
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)]!
  const places: FilterPlace[] = []
  for (let tries = 0; places.length < count; tries++) {
    if (packages.length === 0 || tries > 200 * count) throw new Error(`found ${places.length} of ${count} places`)
    const kind = kinds[places.length % kinds.length]!
    const place = cut(kind, pick(pick(packages)), random)
    if (place) places.push(place)
  }
  return places
}

function cut(kind: PlaceKind, file: SourceFile, random: () => number): FilterPlace | undefined {
  const lines = file.text.split('\n')
  const number = Math.floor(random() * lines.length)
  const line = lines[number]!
  if (line.trim().length < 8 || line.length > longestLine) return undefined
  const lineOffset = lines.slice(0, number).reduce((sum, { length }) => sum + length + 1, 0)
  const span = kind === 'block' ? blockSpan(lines, number) : lineSpan(kind, line, random)
  if (!span) return undefined
  const [start, end] = [lineOffset + span.start, lineOffset + span.end]
  return {
    kind,
    file,
    text: file.text.slice(0, start) + file.text.slice(end),
    offset: start,
    truth: file.text.slice(start, end),
    scope: kind === 'block' ? 'block' : 'line',
  }
}

/** From the beginning of the line. */
function lineSpan(kind: 'rest' | 'inside' | 'closers', line: string, random: () => number) {
  const indent = /^\s*/.exec(line)![0].length
  const whole = line.trimEnd().length
  const start = indent + Math.floor(random() * (whole - indent))
  switch (kind) {
    case 'rest':
      return { start, end: line.length }
    case 'inside': {
      // The gap ends where a word does, with words after it.
      const ends = [...line.matchAll(/\b/g)].map(({ index }) => index).filter((at) => at > start && at < whole - 2)
      const end = ends[Math.floor(random() * ends.length)]
      return end === undefined ? undefined : { start, end }
    }
    case 'closers': {
      const closers = /[)\]}"'`;,:]+$/.exec(line.trimEnd())
      return closers && /[)\]}"'`]/.test(closers[0]) && closers.index > start
        ? { start, end: closers.index }
        : undefined
    }
  }
}

/** The lines below one that opens a block, from its end. */
function blockSpan(lines: readonly string[], number: number) {
  const line = lines[number]!
  const base = indentWidth(line)
  let last = number
  for (let next = number + 1; next < lines.length && next <= number + longestBlock + 1; next++) {
    if (lines[next]!.trim() === '') continue
    if (indentWidth(lines[next]!) <= base) break
    last = next
  }
  if (last === number || last > number + longestBlock) return undefined
  const body = lines.slice(number + 1, last + 1).join('\n')
  return { start: line.length, end: line.length + 1 + body.length }
}

function indentWidth(line: string): number {
  return /^\s*/.exec(line)![0].length
}
