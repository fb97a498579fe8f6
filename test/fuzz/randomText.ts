/** Texts, places and changes as editors send them, and now and then as none would. */
import type { Position, Range } from 'vscode-languageserver'
import { type ContentChange, linesOf } from './clientText.ts'
import type { Random } from './random.ts'

const letters = [
  'a',
  'b',
  'value',
  'x1',
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
  '.',
  ' = ',
  ' ',
  '\t',
  ', ',
  ':',
  '"',
  '#',
  '$',
  '\\',
]
const wide = ['🦊', '👩‍💻', '𝒳', 'é', 'ß', '中文', '\u200d', '\ufeff', '\ud83d', '\udd8a'] // the last two are halves of characters
const breaks = ['\n', '\r\n', '\n\n', '\r\n\t', '\n    ', '\r']

export function randomText(random: Random, most: number): string {
  let text = ''
  for (let count = random.below(most + 1); count > 0; count--) {
    const sort = random.chance(0.6) ? letters : random.chance(0.5) ? wide : breaks
    text += random.pick(sort)
  }
  return text
}

/** A file; most have one kind of line break. */
export function randomFile(random: Random): string {
  const text = randomText(random, 60)
  if (random.chance(0.2)) return text
  return text.replace(/\r\n|\r|\n/g, random.chance(0.4) ? '\r\n' : '\n')
}

/** In the text; now and then past the end of a line, or of the text. */
export function randomPosition(random: Random, text: string): Position {
  const lines = linesOf(text)
  if (random.chance(0.02)) return { line: lines.length + random.below(3), character: random.below(4) }
  const line = random.below(lines.length)
  const { start, end } = lines[line]!
  const length = end - start
  if (random.chance(0.03)) return { line, character: length + random.below(5) }
  return { line, character: random.chance(0.4) ? length : random.below(length + 1) }
}

export function randomRange(random: Random, text: string): Range {
  const [one, other] = [randomPosition(random, text), randomPosition(random, text)]
  const isOrdered = one.line < other.line || (one.line === other.line && one.character <= other.character)
  return isOrdered ? { start: one, end: other } : { start: other, end: one }
}

export function randomChange(random: Random, text: string): ContentChange {
  if (random.chance(0.01)) {
    // What an editor says that counts lines otherwise: from past the end to further past it.
    const { length } = linesOf(text)
    const range = { start: { line: length, character: 0 }, end: { line: length + 1, character: 0 } }
    return { range, text: random.pick(['\n', 'a\n', 'a\r\nb\n', '']) }
  }
  if (random.chance(0.03)) return { text: randomFile(random) }
  if (random.chance(0.02)) return { range: null, text: randomFile(random) }
  if (random.chance(0.6)) {
    const at = randomPosition(random, text)
    return { range: { start: at, end: at }, text: randomText(random, 2) }
  }
  return { range: randomRange(random, text), text: random.chance(0.5) ? '' : randomText(random, 4) }
}

/** What nobody should be sent. */
export function nonsense(random: Random): unknown {
  const values = [
    null,
    undefined,
    7,
    -1,
    'text',
    true,
    [],
    {},
    [null],
    { uri: 7 },
    { textDocument: null },
    { line: -1 },
  ]
  return random.pick(values)
}
