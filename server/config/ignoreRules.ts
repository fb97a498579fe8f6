/**
 * Patterns as Git reads them, from several folders in one list. The one file that knows the package `ignore`. Pure.
 *
 * Bounded, since patterns become regular expressions and a stranger may have written them: a pattern or a path that goes
 * beyond is left out. Three `**` in one pattern took 1.6 s on a path 200 folders deep, and two 0.7 ms on one of 64.
 */
import { setImmediate as turn } from 'node:timers/promises'
import ignore, { type Ignore } from 'ignore'

/** The patterns of one file, which hold from its folder on. */
export interface Patterns {
  /** From the root of the list down, parts joined by `/`; empty for the root itself. */
  readonly folder: string
  readonly text: string
}

export type Match = 'ignored' | 'unignored' | 'unsaid'

const maxPatterns = 1024 // of all files together
const maxUnits = 512 // of one pattern, UTF-16
const maxStars = 4 // between two slashes
const maxAnyDepth = 2 // `**` with something behind it
const maxParts = 64 // of a path
const atOnce = 16 // patterns that are made ready in one turn: half a millisecond each on a busy machine
const maxKept = 64 // lists

export class IgnoreRules {
  private readonly rules: Ignore

  private constructor(rules: Ignore) {
    this.rules = rules
  }

  /**
   * Holds up nobody: patterns are made ready a few at a time.
   *
   * @param lists the root's first: of two patterns that fit, the later one counts, as in Git.
   */
  static async make(lists: readonly Patterns[]): Promise<IgnoreRules> {
    const lines = lists.flatMap(({ folder, text }) =>
      text
        .split(/\r?\n/)
        .filter((line) => isPattern(line) && isBounded(line))
        .map((line) => under(folder, line)),
    )
    const rules = ignore()
    for (let at = 0; at < Math.min(lines.length, maxPatterns); at += atOnce) {
      const some = ignore().add(lines.slice(at, Math.min(at + atOnce, maxPatterns)))
      some.test('x') // its regular expressions are made at the first test, and go along
      rules.add(some)
      await turn()
    }
    return new IgnoreRules(rules)
  }

  /** @param path of a file, from the root down, parts joined by `/`. */
  match(path: string): Match {
    if (!ignore.isPathValid(path) || path.split('/').length > maxParts) return 'unsaid'
    const { ignored, unignored } = this.rules.test(path)
    return ignored ? 'ignored' : unignored ? 'unignored' : 'unsaid'
  }
}

/** Rules that are made once of the same patterns. */
export class KeptRules {
  private readonly kept = new Map<string, Promise<IgnoreRules>>() // by all they are made of

  async match(lists: readonly Patterns[], path: string): Promise<Match> {
    if (lists.every(({ text }) => text === '')) return 'unsaid'
    const key = lists.map(({ folder, text }) => `${folder}\0${text}`).join('\0')
    const rules = this.kept.get(key) ?? IgnoreRules.make(lists)
    if (!this.kept.has(key) && this.kept.size >= maxKept) this.kept.clear()
    this.kept.set(key, rules)
    return (await rules).match(path)
  }
}

function isPattern(line: string): boolean {
  return line.trim() !== '' && !line.startsWith('#')
}

function isBounded(pattern: string): boolean {
  if (pattern.length > maxUnits) return false
  const parts = pattern.split('/')
  const anyDepth = parts.slice(0, -1).filter((part) => part.includes('**')).length
  return anyDepth <= maxAnyDepth && parts.every((part) => part === '**' || part.split('*').length - 1 <= maxStars)
}

/** A pattern of a folder as the root would have to say it. */
function under(folder: string, line: string): string {
  if (folder === '') return line
  const not = line.startsWith('!') ? '!' : ''
  const pattern = line.slice(not.length)
  const place = folder.replace(/[\\*?[\]!# ]/g, '\\$&')
  // A slash before the end fixes a pattern to its folder; without one it holds at any depth below.
  const fixed = pattern.replace(/\s+$/, '').slice(0, -1).includes('/')
  return `${not}/${place}/${fixed ? pattern.replace(/^\//, '') : `**/${pattern}`}`
}
