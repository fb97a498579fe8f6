/**
 * Two gaps that depend on each other, in real files: a name where it is bound, and where it is used next. Nothing else in
 * the window that a model reads spells the name, so both ends are free choices, and right only together.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import type { Span } from '../../server/base/spans.ts'
import { languageIds, packageOf } from './gapCases.ts'
import { seededRandom } from './stats.ts'

export interface NameCase {
  readonly path: string // within the folder
  readonly languageId: string
  readonly text: string // whole, LF line ends
  readonly name: string
  /** Where it is bound, and where it is used. */
  readonly spans: readonly [Span, Span]
}

const mostLines = 30 // between the two
const windowUnits = { before: 2048, after: 768 } // UTF-16 units in which no third one stands; at least what a plan reads

/** The name that a line binds is group 1. */
const bindings: Readonly<Record<string, readonly RegExp[]>> = {
  python: [
    /^\s*([A-Za-z_]\w+) = /dg,
    /\bfor ([A-Za-z_]\w+) in /dg,
    /\bas ([A-Za-z_]\w+)(?=[:,)\s]*$)/dg,
    /^\s*(?:from [\w.]+ )?import ([A-Za-z_]\w+)$/dg,
    /\bdef \w+\((?:self, )?([A-Za-z_]\w+)(?=[,):=])/dg,
  ],
  script: [
    /\b(?:const|let|var) ([A-Za-z_$][\w$]+)(?= =|:| of )/dg,
    /\bfunction \w*\(([A-Za-z_$][\w$]+)(?=[,):?])/dg,
    /(?<![\w$.])\(?([A-Za-z_$][\w$]+)\)? =>/dg,
    /\bimport (?:\{ )?([A-Za-z_$][\w$]+)(?: \})? from /dg,
  ],
}

/** As many for each language, packages drawn alike. The same cases for the same seed and files, and more begin with the fewer. */
export function drawNames(folder: string, perLanguage: number, seed: number): NameCase[] {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted()
  const cases: NameCase[] = []
  for (const languageId of ['python', 'typescript', 'javascript']) {
    const own = paths.filter((path) => languageIds[extname(path)] === languageId)
    const packages = [...new Set(own.map(packageOf))].map((name) => own.filter((path) => packageOf(path) === name))
    const random = seededRandom(seed)
    const seen = new Set<string>()
    for (let tries = 0, found = 0; own.length > 0 && found < perLanguage && tries < 100 * perLanguage; tries++) {
      const files = packages[Math.floor(random() * packages.length)]!
      const path = files[Math.floor(random() * files.length)]!
      const text = readFileSync(join(folder, path), 'utf8').replaceAll('\r\n', '\n')
      const all = namesOf(text, bindings[languageId === 'python' ? 'python' : 'script']!)
      const drawn = all[Math.floor(random() * all.length)]
      if (!drawn || seen.has(`${path} ${drawn.spans[0].start}`)) continue
      seen.add(`${path} ${drawn.spans[0].start}`)
      cases.push({ path, languageId, text, ...drawn })
      found++
    }
  }
  return cases
}

function namesOf(text: string, patterns: readonly RegExp[]): Pick<NameCase, 'name' | 'spans'>[] {
  const found: Pick<NameCase, 'name' | 'spans'>[] = []
  let start = 0
  for (const line of text.split('\n')) {
    for (const pattern of patterns) {
      for (const match of line.length > 160 ? [] : line.matchAll(pattern)) {
        const at = start + match.indices![1]![0]
        const spans = bothSpans(text, match[1]!, at)
        if (spans) found.push({ name: match[1]!, spans })
      }
    }
    start += line.length + 1
  }
  return found
}

/** Of a name bound at `at` that is used once more nearby and stands nowhere else in sight. */
function bothSpans(text: string, name: string, at: number): [Span, Span] | undefined {
  const whole = new RegExp(`(?<![\\w$])${name.replaceAll('$', '\\$')}(?![\\w$])`, 'g')
  const near = [...text.slice(at, at + mostLines * 160).matchAll(whole)].map(({ index }) => at + index)
  const use = near[1]
  if (use === undefined || !isUse(text, use, name)) return undefined
  const lines = text.slice(at, use).split('\n').length - 1
  if (lines < 1 || lines > mostLines) return undefined
  const from = Math.max(0, at - windowUnits.before)
  const inSight = text.slice(from, use + windowUnits.after).matchAll(whole)
  if ([...inSight].length !== 2) return undefined
  const spanAt = (start: number): Span => ({ start, end: start + name.length })
  return [spanAt(at), spanAt(use)]
}

/** No member, no string, no comment, as far as its line tells. */
function isUse(text: string, at: number, name: string): boolean {
  const start = text.lastIndexOf('\n', at) + 1
  const end = at + name.length
  if (/[.'"`/]$/.test(text.slice(start, at)) || /^['"`]/.test(text.slice(end))) return false
  return !/^\s*(?:\*|#|\/\/|\/\*|>>>)/.test(text.slice(start, end))
}
