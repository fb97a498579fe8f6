/**
 * Patterns as Git reads them, from several folders in one list. The one file that knows the package `ignore`. Pure.
 *
 * Bounded, since patterns become regular expressions and a stranger may have written them: what goes beyond is left out.
 */
import ignore, { type Ignore } from 'ignore'

/** The patterns of one file, which hold from its folder on. */
export interface Patterns {
  /** From the root of the list down, parts joined by `/`; empty for the root itself. */
  readonly folder: string
  readonly text: string
}

export type Match = 'ignored' | 'unignored' | 'unsaid'

const maxPatterns = 4096 // of all files together
const maxUnits = 512 // of one pattern, UTF-16
const maxStars = 4 // between two slashes: each more multiplies the time of a match by the length of a name

export class IgnoreRules {
  private readonly rules: Ignore

  /** @param lists the root's first: of two patterns that fit, the later one counts, as in Git. */
  constructor(lists: readonly Patterns[]) {
    const patterns = lists.flatMap(({ folder, text }) => text.split(/\r?\n/).map((line) => under(folder, line)))
    this.rules = ignore().add(patterns.filter(isBounded).slice(0, maxPatterns))
  }

  /** @param path of a file, from the root down, parts joined by `/`. */
  match(path: string): Match {
    if (!ignore.isPathValid(path)) return 'unsaid'
    const { ignored, unignored } = this.rules.test(path)
    return ignored ? 'ignored' : unignored ? 'unignored' : 'unsaid'
  }
}

function isBounded(pattern: string): boolean {
  if (pattern.length > maxUnits) return false
  return pattern.split('/').every((part) => part === '**' || part.split('*').length - 1 <= maxStars)
}

/** A pattern of a folder as the root would have to say it. */
function under(folder: string, line: string): string {
  if (folder === '' || line.trim() === '' || line.startsWith('#')) return line
  const not = line.startsWith('!') ? '!' : ''
  const pattern = line.slice(not.length)
  const place = folder.replace(/[\\*?[\]!# ]/g, '\\$&')
  // A slash before the end fixes a pattern to its folder; without one it holds at any depth below.
  const fixed = pattern.replace(/\s+$/, '').slice(0, -1).includes('/')
  return `${not}/${place}/${fixed ? pattern.replace(/^\//, '') : `**/${pattern}`}`
}
