/**
 * A recording: a file with some of its text taken out, and the timed keys with which a person puts it back. Pure: the same
 * file and seed give the same keys. Played to its end, with or without accepted ghost text, it restores the file.
 *
 * Places are visited in any order: rests of lines, whole lines, the inside of brackets, pasted blocks. The person mistypes
 * now and then and corrects it, and takes back the end of a line to type it again. Assumed of the editor: it indents a new
 * line rightly, and closes no brackets by itself.
 */
import { drawWait, type Wait, waitBefore } from './timing.ts'

export interface Place {
  readonly line: number
  readonly character: number // UTF-16 units
}

export type KeyKind = 'open' | 'jump' | 'paste' | 'undo' | 'character' | 'break' | 'typo' | 'backspace'

/** One key, or one command: `remove` units left of the cursor go, `insert` comes. */
export interface Key {
  readonly kind: KeyKind
  readonly waitMs: number // since the key before
  readonly place?: Place // the cursor moves here first: of `open` and `jump`
  readonly remove: number
  readonly insert: string
  /** What the person still wants left of what stands on the line; undefined while a mistyped key stands. */
  readonly todo: string | undefined
}

export interface Source {
  readonly name: string
  /** Where it lies, so that what lies beside it is heard; without, it lies nowhere. */
  readonly path?: string
  readonly languageId: string
  readonly text: string // LF line ends
}

export interface Recording {
  readonly source: Source
  readonly start: string // the document when it is opened
  readonly keys: readonly Key[]
}

/** Of keys of letters: one is mistyped. Of lines typed whole: its end is taken back. */
const [typoShare, undoShare] = [0.02, 0.12]
const typedLines = 3 // at a place, at the most
const apartLines = 8 // between two places, at the least

/** Text that is missing at a place of the finished file; `pasted` comes in one piece, the rest by keys. */
interface Gap {
  readonly from: number // offsets in the finished file
  readonly to: number
  readonly pasted: number // units
}

/**
 * @param characters to be typed at least, pasted ones aside; fewer where the file has no room for more places.
 * @param random seeded, in [0, 1).
 */
export function record(source: Source, characters: number, random: () => number): Recording {
  const gaps = drawGaps(source.text, characters, random)
  let start = ''
  let at = 0
  for (const { from, to } of gaps) {
    start += source.text.slice(at, from)
    at = to
  }
  start += source.text.slice(at)
  const order = shuffled(gaps, random)
  const keys = order.flatMap((gap, turn) => {
    const open = gaps.filter((other) => other.from < gap.from && order.indexOf(other) > turn)
    const offset = gap.from - open.reduce((sum, { from, to }) => sum + to - from, 0)
    const before = documentAt(source.text, gaps, order.slice(0, turn))
    const place = placeOf(before, offset)
    return keysOf(source.text, gap, place, turn === 0 ? 'open' : 'jump', random)
  })
  return { source, start, keys }
}

/** The finished file without the gaps that are not filled yet. */
function documentAt(text: string, gaps: readonly Gap[], filled: readonly Gap[]): string {
  let document = ''
  let at = 0
  for (const gap of gaps) {
    if (filled.includes(gap)) continue
    document += text.slice(at, gap.from)
    at = gap.to
  }
  return document + text.slice(at)
}

/** Sorted, apart from each other, none at the file's very beginning. */
function drawGaps(text: string, characters: number, random: () => number): Gap[] {
  const lines = text.split('\n')
  const starts = [0]
  for (const line of lines) starts.push(starts.at(-1)! + line.length + 1)
  const taken: number[] = []
  const gaps: Gap[] = []
  let typed = 0
  for (let tries = 0; typed < characters && tries < 1000; tries++) {
    const line = 1 + Math.floor(random() * (lines.length - 2))
    if (taken.some((other) => Math.abs(other - line) < apartLines)) continue
    const gap = drawGap(lines, starts, line, random)
    if (!gap) continue
    taken.push(line)
    gaps.push(gap)
    typed += gap.to - gap.from - gap.pasted
  }
  return gaps.sort((a, b) => a.from - b.from)
}

function drawGap(
  lines: readonly string[],
  starts: readonly number[],
  line: number,
  random: () => number,
): Gap | undefined {
  if (!typeable(lines[line])) return undefined
  const text = lines[line]!
  const start = starts[line]!
  const kind = random()
  if (kind < 0.35) {
    const indent = /^\s*/.exec(text)![0].length
    const cut = indent + 1 + Math.floor(random() * Math.min(12, text.length - indent - 4))
    return { from: start + cut, to: start + text.length, pasted: 0 }
  }
  if (kind < 0.5) {
    const inside = /(?<=[([{])[^()[\]{}]{4,40}(?=[)\]}])/.exec(text)
    if (!inside) return undefined
    return { from: start + inside.index, to: start + inside.index + inside[0].length, pasted: 0 }
  }
  const pastedLines = kind < 0.65 ? 2 + Math.floor(random() * 4) : 0
  const count = pastedLines + 1 + Math.floor(random() * typedLines)
  if (!lines.slice(line + pastedLines, line + count).every(typeable) || line + count > lines.length) return undefined
  const from = starts[line - 1]! + lines[line - 1]!.length // the person is at the end of the line above
  const to = starts[line + count - 1]! + lines[line + count - 1]!.length
  return { from, to, pasted: pastedLines && starts[line + pastedLines]! - 1 - from }
}

/** Lines that people type, and that end where their text ends. */
function typeable(line: string | undefined): boolean {
  return line !== undefined && line.trim().length >= 8 && line.length <= 100 && line === line.trimEnd()
}

function keysOf(text: string, gap: Gap, place: Place, arriving: 'open' | 'jump', random: () => number): Key[] {
  const keys: Key[] = []
  const end = gap.to
  const todoAt = (offset: number): string => {
    const lineBreak = text.indexOf('\n', offset)
    return text.slice(offset, lineBreak < 0 ? end : Math.min(end, lineBreak))
  }
  const press = (kind: KeyKind, wait: Wait, remove: number, insert: string, todo: string | undefined): void => {
    keys.push({ kind, waitMs: drawWait(wait, random), remove, insert, todo })
  }
  keys.push({ kind: arriving, waitMs: drawWait('place', random), place, remove: 0, insert: '', todo: todoAt(gap.from) })
  let at = gap.from
  if (gap.pasted > 0) {
    at += gap.pasted
    press('paste', 'place', 0, text.slice(gap.from, at), todoAt(at))
  }
  let takenBack = -1 // at most once a line
  while (at < end) {
    const lineStart = text.lastIndexOf('\n', at - 1) + 1
    const typed = text.slice(lineStart, at).trimStart()
    if (text[at] === '\n') {
      const indented = /^\n[^\S\n]*/.exec(text.slice(at, end))![0]
      press('break', 'boundary', 0, indented, todoAt(at + indented.length))
      at += indented.length
      continue
    }
    const character = String.fromCodePoint(text.codePointAt(at)!)
    const wait = waitBefore(typed.at(-1) ?? '', character)
    if (/[a-z]/.test(character) && random() < typoShare) mistype(character, wait)
    press('character', wait, 0, character, todoAt(at + character.length))
    at += character.length
    const whole = text.slice(lineStart, at).trimStart()
    if (todoAt(at) === '' && takenBack !== lineStart && lineStart > gap.from && random() < undoShare) {
      takenBack = lineStart
      const back = /\W?\w*\W*$/.exec(whole.slice(1))![0].length
      press('undo', 'place', back, '', todoAt(at - back))
      at -= back
    }
  }
  return keys

  /** A neighbour's key, noticed at once or one key later. */
  function mistype(right: string, wait: Wait): void {
    const wrong = right === 'z' ? 'y' : String.fromCharCode(right.charCodeAt(0) + 1)
    press('typo', wait, 0, wrong, undefined)
    const late = random() < 0.4 && todoAt(at).length > 1
    if (late) {
      press('typo', 'in-word', 0, todoAt(at)[1]!, undefined)
      press('backspace', 'noticing', 1, '', undefined)
    }
    press('backspace', late ? 'correcting' : 'noticing', 1, '', todoAt(at))
  }
}

export function placeOf(text: string, offset: number): Place {
  const before = text.slice(0, offset)
  return { line: before.split('\n').length - 1, character: offset - before.lastIndexOf('\n') - 1 }
}

function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const left = [...items]
  return items.map(() => left.splice(Math.floor(random() * left.length), 1)[0]!)
}
