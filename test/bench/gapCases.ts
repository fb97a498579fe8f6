/**
 * Gaps in real files with what stood there: rests of lines, cut at any character. For measures of quality; the files come
 * from `fetchFiles.sh`, or are any others.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join, sep } from 'node:path'
import { seededRandom } from './stats.ts'

export interface GapCase {
  readonly path: string // within the folder
  readonly languageId: string
  readonly text: string // with the gap closed
  readonly offset: number
  readonly truth: string // the rest of the line, no blanks at its end
}

export const languageIds: Readonly<Record<string, string>> = {
  '.py': 'python',
  '.ts': 'typescript',
  '.js': 'javascript',
  '.mjs': 'javascript',
  '.rs': 'rust',
  '.go': 'go',
  '.c': 'c',
  '.h': 'c',
  '.lua': 'lua',
  '.el': 'emacs-lisp',
  '.sh': 'shellscript',
}

/** What benches have drawn since the first of them; figures of other languages are told apart. */
export const firstLanguages = ['python', 'typescript', 'javascript'] as const
export const allLanguages: readonly string[] = [...new Set(Object.values(languageIds))]

/**
 * As many for each language, packages (first folders) drawn alike however large they are. The same cases for the same
 * seed and files, and more of them begin with the fewer.
 *
 * @param perLanguage of each of the languages, as far as there are files.
 */
export function drawGaps(
  folder: string,
  perLanguage: number,
  seed: number,
  languages: readonly string[] = firstLanguages,
): GapCase[] {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted()
  const cases: GapCase[] = []
  for (const languageId of languages) {
    const own = paths.filter((path) => languageIds[extname(path)] === languageId)
    const packages = [...new Set(own.map(packageOf))].map((name) => own.filter((path) => packageOf(path) === name))
    const random = seededRandom(seed)
    for (let i = 0; own.length > 0 && i < perLanguage; ) {
      const files = packages[Math.floor(random() * packages.length)]!
      const path = files[Math.floor(random() * files.length)]!
      const gap = cutLine(readFileSync(join(folder, path), 'utf8').replaceAll('\r\n', '\n'), random)
      if (!gap) continue
      cases.push({ path, languageId, ...gap })
      i++
    }
  }
  return cases
}

/** Not blank lines, not lines that nobody types. */
function cutLine(text: string, random: () => number): Pick<GapCase, 'text' | 'offset' | 'truth'> | undefined {
  const lines = text.split('\n')
  const line = Math.floor(random() * lines.length)
  const whole = lines[line]!
  if (whole.trim().length < 8 || whole.length > 160) return undefined
  const indent = /^\s*/.exec(whole)![0].length
  const at = indent + Math.floor(random() * (whole.trimEnd().length - indent))
  const start = lines.slice(0, line).reduce((sum, { length }) => sum + length + 1, 0)
  return {
    text: text.slice(0, start + at) + text.slice(start + whole.length),
    offset: start + at,
    truth: whole.slice(at).trimEnd(),
  }
}

export function packageOf(path: string): string {
  return path.split(sep)[0]!
}
