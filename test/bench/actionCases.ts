/**
 * Places in real files where each code action is wanted, with what stood there. Of the same files as `gapCases.ts`; the
 * same cases for the same seed and files.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import type { Span } from '../../server/base/spans.ts'
import type { ActionName } from '../../server/infill/actions/action.ts'
import { prepareAction } from '../../server/infill/actions/actions.ts'
import { functionAt } from '../../server/infill/actions/blocks.ts'
import { readSource, type Source, trimmed } from '../../server/infill/actions/source.ts'
import { languageIds, packageOf } from './gapCases.ts'
import { drawNames } from './nameCases.ts'
import { seededRandom } from './stats.ts'

export interface ActionCase {
  readonly kind: string // one row of the table
  readonly action: ActionName
  readonly path: string
  readonly languageId: string
  readonly text: string // as the user has it, what is to be found taken out
  readonly selection: Span
  readonly message?: string
  readonly wish?: string
  readonly wanted: string // the whole document as it stood
  readonly truth: string // what was taken out
}

type Found = Pick<ActionCase, 'text' | 'selection' | 'truth'> & Partial<Pick<ActionCase, 'message' | 'wish'>>

interface Kind {
  readonly action: ActionName
  /** A case at a random place of a file, if it has one. */
  readonly draw: (source: Source, random: () => number) => Found | undefined
}

const oneOf = <Value>(values: readonly Value[], random: () => number): Value | undefined =>
  values[Math.floor(random() * values.length)]

/** A match of a pattern in the code, at random; of its group 1 the span. */
function spanOf({ code }: Source, pattern: RegExp, random: () => number): Span | undefined {
  const match = oneOf([...code.matchAll(pattern)], random)
  return match && { start: match.indices![1]![0], end: match.indices![1]![1] }
}

const kinds: Readonly<Record<string, Kind>> = {
  'rewrite an expression': {
    action: 'rewrite',
    draw(source, random) {
      const span = spanOf(source, /(?:[^=!<>]= |\breturn )(\S[^\n{}]{3,60}?);?$/dgm, random)
      return span && { text: source.text, selection: span, truth: source.text.slice(span.start, span.end) }
    },
  },
  'rewrite a line': {
    action: 'rewrite',
    draw(source, random) {
      const span = spanOf(source, /^[ \t]+(\w[^\n]{7,90}?)[ \t]*$/dgm, random)
      return span && { text: source.text, selection: span, truth: source.text.slice(span.start, span.end) }
    },
  },
  'complete an empty argument list': {
    action: 'completeArguments',
    draw: (source, random) => without(source, spanOf(source, /[\w$]\(([^()\n{}]{2,60})\)/dg, random)),
  },
  'complete the last argument': {
    action: 'completeArguments',
    draw: (source, random) => without(source, spanOf(source, /[\w$]\([^()\n{}]+(, [^()\n,{}]{2,40})\)/dg, random)),
  },
  'complete an empty body': {
    action: 'completeBody',
    draw: (source, random) => bodyOf(source, random, 1, 3),
  },
  'fix a wrong name': {
    action: 'fix',
    draw(source, random) {
      const span = spanOf(source, /[=(,:] ?(?<![.\w$])([A-Za-z_]\w{4,20})(?=[).,[\]])/dg, random)
      if (!span) return undefined
      const { text, languageId } = source
      const truth = text.slice(span.start, span.end)
      // Known only if it stands elsewhere in sight.
      if (text.slice(Math.max(0, span.start - 1500), span.start).split(truth).length < 2) return undefined
      const at = 1 + Math.floor(random() * (truth.length - 3))
      const slip = truth.slice(0, at) + truth[at + 1] + truth[at] + truth.slice(at + 2)
      if (slip === truth) return undefined
      return {
        text: text.slice(0, span.start) + slip + text.slice(span.end),
        selection: span,
        truth,
        message: languageId === 'python' ? `"${slip}" is not defined` : `Cannot find name '${slip}'.`,
      }
    },
  },
  'fix a bracket that is missing': {
    action: 'fix',
    draw(source, random) {
      const span = spanOf(source, /^[ \t]+\w[^\n]{5,70}[^\n)](\))(?=;?$)/dgm, random)
      if (!span) return undefined
      const text = source.text.slice(0, span.start) + source.text.slice(span.end)
      // Where checkers point: at what was opened, or at where it should be closed.
      const isPython = source.languageId === 'python'
      const start = isPython ? text.lastIndexOf('(', span.start) : span.start
      const selection = { start, end: isPython ? start + 1 : start }
      return { text, selection, truth: ')', message: isPython ? '"(" was not closed' : "')' expected." }
    },
  },
  'change as a comment says': { action: 'change', draw: commented },
  'the same without the comment': {
    action: 'rewrite',
    draw(source, random) {
      const found = commented(source, random)
      if (!found) return undefined
      const { wish: _, ...rest } = found
      return rest
    },
  },
  'document the function': { action: 'document', draw: documented },
  'fill two placeholders together': {
    action: 'fill',
    draw(source, random) {
      const match = oneOf(
        [...source.code.matchAll(/^[ \t]*\w+ = (\S[^\n{}]{3,40})\n[^\n]*[^=!<>]= (\S[^\n{}]{3,40})$/dgm)],
        random,
      )
      if (!match) return undefined
      const [first, second] = [match.indices![1]!, match.indices![2]!]
      const { text } = source
      const opened = `${text.slice(0, first[0])}___${text.slice(first[1], second[0])}___${text.slice(second[1])}`
      const end = second[0] - (first[1] - first[0]) + 6
      return {
        text: opened,
        selection: { start: first[0], end },
        truth: `${text.slice(...first)} · ${text.slice(...second)}`,
      }
    },
  },
}

function without({ text }: Source, span: Span | undefined): Found | undefined {
  if (!span) return undefined
  const at = { start: span.start, end: span.start }
  return {
    text: text.slice(0, span.start) + text.slice(span.end),
    selection: at,
    truth: text.slice(span.start, span.end),
  }
}

/** A function whose body has so many lines, emptied. */
function bodyOf(source: Source, random: () => number, least: number, most: number): Found | undefined {
  const { text, code, languageId } = source
  const at = oneOf(
    [...code.matchAll(/\b(?:def|function)\b|=>[ \t]*\{|^[ \t]*(?:async )?\w+\([^\n]*\)[^\n]*\{$/gm)],
    random,
  )
  const found = at && functionAt(source, at.index)
  if (!found || found.header.start > at.index) return undefined
  const inside = trimmed(text, found.body)
  const lines = text.slice(inside.start, inside.end).split('\n')
  if (lines.length < least || lines.length > most || !lines.some((line) => /\w{3}/.test(line))) return undefined
  const isAlone = languageId !== 'python' || /\n/.test(text.slice(found.body.start, inside.start))
  if (!isAlone || code.slice(inside.start, inside.end).trim() === '') return undefined
  const start = found.body.start
  return {
    text: text.slice(0, start) + text.slice(found.body.end),
    selection: { start, end: start },
    truth: text.slice(inside.start, inside.end),
  }
}

/** A line under a comment that says what it does. */
function commented({ text, languageId }: Source, random: () => number): Found | undefined {
  const pattern =
    languageId === 'python'
      ? /^[ \t]+# ([A-Z][^\n]{10,80})\n[ \t]+(\w[^\n]{7,80}?)$/dgm
      : /^[ \t]+\/\/ ([A-Za-z][^\n]{10,80})\n[ \t]+(\w[^\n]{7,80}?)$/dgm
  const match = oneOf([...text.matchAll(pattern)], random)
  if (!match || match.index > 60_000) return undefined
  const [line, end] = [match.indices![1]![1], match.indices![2]![0]]
  const start = text.lastIndexOf('\n', match.indices![1]![0]) + 1
  const opened = text.slice(0, start) + text.slice(line + 1)
  const shift = line + 1 - start
  const truth = match[2]!
  return { text: opened, selection: { start: end - shift, end: end - shift + truth.length }, truth, wish: match[1]! }
}

function documented({ text, languageId }: Source, random: () => number): Found | undefined {
  const pattern =
    languageId === 'python'
      ? /^[ \t]*def [^\n]*:(\n[ \t]+"""([^"\n]{10,80})""")$/dgm
      : /^([ \t]*\/\*\*[ \t]*\n?[ \t]*\*?[ \t]*([A-Z][^\n*]{9,80}?)\s*\*\/\n)[^\n]*(?:function|\()[^\n]*\{$/dgm
  const match = oneOf([...text.matchAll(pattern)], random)
  if (!match) return undefined
  const [start, end] = match.indices![1]!
  const at = languageId === 'python' ? start : start + /^[ \t]*/.exec(text.slice(end))![0].length
  return { text: text.slice(0, start) + text.slice(end), selection: { start: at, end: at }, truth: match[2]!.trim() }
}

/** @param count of each kind and language. */
export function drawActions(folder: string, count: number, seed: number): ActionCase[] {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted()
  const cases: ActionCase[] = []
  for (const [kind, { action, draw }] of Object.entries(kinds)) {
    for (const languageId of ['python', 'typescript', 'javascript']) {
      const own = paths.filter((path) => languageIds[extname(path)] === languageId)
      const packages = [...new Set(own.map(packageOf))].map((name) => own.filter((path) => packageOf(path) === name))
      const random = seededRandom(seed)
      for (let tries = 0, found = 0; own.length > 0 && found < count && tries < 40 * count; tries++) {
        const path = oneOf(oneOf(packages, random)!, random)!
        const whole = readFileSync(join(folder, path), 'utf8').replaceAll('\r\n', '\n')
        if (whole.length > 200_000) continue
        const drawn = draw(readSource(whole, languageId), random)
        if (!drawn || !isPrepared(action, languageId, drawn)) continue
        cases.push({ kind, action, path, languageId, wanted: whole, ...drawn })
        found++
      }
    }
  }
  for (const { path, languageId, text, spans, name } of drawNames(folder, count, seed)) {
    const [bound, used] = spans
    const opened = `${text.slice(0, bound.start)}tmp1${text.slice(bound.end, used.start)}tmp1${text.slice(used.end)}`
    const selection = { start: bound.start, end: bound.start }
    cases.push({
      kind: 'rename',
      action: 'rename',
      path,
      languageId,
      text: opened,
      selection,
      wanted: text,
      truth: name,
    })
  }
  return cases
}

/** Whether the action can be done there at all. */
function isPrepared(name: ActionName, languageId: string, { text, selection, message, wish }: Found): boolean {
  try {
    prepareAction({ name, languageId, text, selection, ...(message ? { message } : {}), ...(wish ? { wish } : {}) })
    return true
  } catch {
    return false
  }
}
