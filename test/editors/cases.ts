/**
 * What is typed into every editor: a document with `║` where the cursor is, what the scripted model knows to belong there,
 * and so the bytes that must be in the file once it was taken.
 */
import { parseMarked } from '../markup.ts'

export interface Case {
  readonly name: string
  readonly file: string
  readonly text: string
  readonly cursor: number // UTF-16 units
  readonly fill: string
  /** The whole file afterwards. */
  readonly filled: string
}

function caseOf(name: string, file: string, marked: string, fill: string): Case {
  const { text, cursor = text.length } = parseMarked(marked)
  return { name, file, text, cursor, fill, filled: text.slice(0, cursor) + fill + text.slice(cursor) }
}

/** At the end of a line and of a word, so that editors which ask at letters only do ask. */
export const cases: readonly Case[] = [
  caseOf(
    'end of a line',
    'plain.py',
    'def area(width, height):\n    return wi║\n\nprint(area(2, 3))\n',
    'dth * height',
  ),
  caseOf(
    'tabs',
    'tabs.py',
    'class Box:\n\tdef first(self):\n\t\treturn sel║\n\n\tdef size(self):\n\t\treturn 1\n',
    'f.items[0]',
  ),
  caseOf(
    'CRLF and tabs',
    'crlf.py',
    'class Pile:\r\n\tdef last(self):\r\n\t\treturn mi║\r\n\r\n\tdef none(self):\r\n\t\tpass\r\n',
    'ne.pile[-1]',
  ),
  caseOf(
    'emoji before the cursor',
    'emoji.py',
    'names = ["🦀", "é"]\nfor name in names:\n    print("🦀🦀 " + na║)\n',
    'me',
  ),
  caseOf(
    'closing bracket',
    'bracket.py',
    'total = 0\nfor value in range(9):\n    total = max(total, val║)\n',
    'ue * 2',
  ),
  caseOf(
    'half a word, text after it',
    'half.py',
    'class Word:\n    def size(self):\n        return len(it║.letters)\n',
    'self',
  ),
  caseOf('no line break at the end', 'open.py', 'def add(first, second):\n    return fir║', 'st + second'),
]

/** The other server (`otherServer.ts`) has two words here, so its menu stays open; the model has another. */
export const twoServers: Case = caseOf(
  'two servers',
  'both.py',
  'def both(first):\n    return pai║\n\nprint(both(2))\n',
  'rwise(first)',
)
export const othersWords = ['pairAlpha', 'pairOmega'] as const

/** The model knows two texts with the same before this place, and is surer of the first. */
export const twoWays: Case = caseOf('two ways', 'ways.py', 'def way(up, down):\n    return up║\n', ' + down')
export const otherWay: Case = { ...twoWays, fill: ' - down', filled: twoWays.filled.replace(' + ', ' - ') }

/** All texts the model must know. */
export const knownTexts: readonly string[] = [...cases, twoServers, twoWays, otherWay].map(({ filled }) => filled)

export const caseNamed = (name: string): Case => cases.find((each) => each.name === name)!

/** What the item of a case begins with: the word before the cursor. */
export function wordOf({ text, cursor }: Case): string {
  return /\w*$/.exec(text.slice(0, cursor))![0]
}
