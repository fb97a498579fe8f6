/**
 * Two gaps that depend on each other, filled together in several orders and one by one: a name where it is bound and
 * where it is used (`nameCases.ts`), or with --rest the rests of both lines from the name on. Needs the embedded model.
 *
 * A gap's name is the word that its text begins with: where a model writes on past it, that is another fault.
 *
 *     node dist/twoHoles.js --out FILE FOLDER
 *
 * appends a line of JSON for each case that FILE does not have yet, and prints the table of all that it has; run it again
 * to go on.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { applyEdit, lineEnd, type Span } from '../../server/base/spans.ts'
import { openRooms } from '../../server/cli/openRooms.ts'
import type { HoleOrder } from '../../server/denoise/holeOrder.ts'
import { resolveModel } from '../../server/model/store.ts'
import { fillGap, fillHoles } from '../../server/session/fillGap.ts'
import { askedFor, type Filled, type FilledHole } from '../../server/session/gaps.ts'
import { drawNames, type NameCase } from './nameCases.ts'
import { commandLine } from './options.ts'
import { rounded } from './stats.ts'

interface Outcome {
  readonly texts: readonly [string, string]
  readonly steps: number
  readonly denoiseMs: number
  readonly processorMs: number
  readonly encodedRows: number // beyond those of the text as it stands, both gaps open
}

interface CaseResult {
  readonly key: string
  readonly languageId: string
  readonly name: string
  readonly truths: readonly [string, string]
  readonly lines: number // between the two
  readonly outcomes: Readonly<Record<string, Outcome>>
}

type Strategy = (gap: NameCase) => Promise<Omit<Outcome, 'processorMs'>>

const help = `node dist/twoHoles.js --out FILE [options] FOLDER
  --rest              the rests of both lines, not the names alone
  --per-language N    cases (default 40)
  --seed N            of the cases (default 1)
  --max-tokens N      of a hole (default 8)
  --seconds N         then it stops; what is in FILE is not done again (default 200)
`
const { values, positionals } = commandLine(
  help,
  {
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      rest: { type: 'boolean' },
      'per-language': { type: 'string', default: '40' },
      seed: { type: 'string', default: '1' },
      'max-tokens': { type: 'string', default: '8' },
      seconds: { type: 'string', default: '200' },
    },
  },
  1,
)
const out = values.out
if (!out) throw new Error('wanted --out FILE, where the results go')
const rooms = await openRooms(await resolveModel())
const request = { maxTokens: Number(values['max-tokens']), certainty: askedFor }
const never = new AbortController().signal

const strategies: Readonly<Record<string, Strategy>> = {
  'together, at once': together({ kind: 'at-once' }),
  'together, surest hole': together({ kind: 'surest-hole', threshold: 1 }),
  'together, left then right': together({ kind: 'left-to-right', ahead: 'open' }),
  'together, left then right, right closed till then': together({ kind: 'left-to-right', ahead: 'closed' }),
  'together, right then left, left closed till then': together({ kind: 'right-to-left', ahead: 'closed' }),
  'one by one, left then right': oneByOne([0, 1]),
  'one by one, right then left': oneByOne([1, 0]),
  'each with the other one right': eachKnown,
}

function together(order: HoleOrder): Strategy {
  return async ({ text, spans, languageId }) => {
    const holes = spans.map((span) => ({ span, scope: 'line' as const }))
    const filled = await fillHoles(rooms, { ...request, text, languageId, holes, order }, never)
    const [left, right] = filled.holes
    return { ...costOf([filled]), texts: [textOf(left!), textOf(right!)] }
  }
}

/** The one that is not filled yet is as if nothing were missing there. */
function oneByOne(order: readonly [number, number]): Strategy {
  return async ({ text, spans, languageId }) => {
    const texts: [string, string] = ['', '']
    const filled: Filled[] = []
    for (const hole of order) {
      const before =
        hole === 1 ? without(text.slice(0, spans[1].start), spans[0], texts[0]) : text.slice(0, spans[0].start)
      const after = hole === 0 ? without(text, spans[1], texts[1]).slice(spans[0].end) : text.slice(spans[1].end)
      const gap = { ...request, text: before + after, offset: before.length, scope: 'line' as const, languageId }
      const one = await fillGap(rooms, gap, never)
      filled.push(one)
      texts[hole] = textOf(one)
    }
    return { ...costOf(filled), texts }
  }
}

/** What the model could do if one of the two were known: no strategy, a bound. */
async function eachKnown({ text, spans, languageId }: NameCase) {
  const filled: Filled[] = []
  for (const span of spans) {
    const gap = { ...request, text: without(text, span, ''), offset: span.start, scope: 'line' as const, languageId }
    filled.push(await fillGap(rooms, gap, never))
  }
  return { ...costOf(filled), texts: [textOf(filled[0]!), textOf(filled[1]!)] as const }
}

function nameOf(text: string): string {
  return /^[\w$]*/.exec(text)![0]
}

/** Both gaps to the ends of their lines. */
function toLineEnds(gap: NameCase): NameCase {
  const rest = ({ start }: Span): Span => ({
    start,
    end: start + gap.text.slice(start, lineEnd(gap.text, start)).trimEnd().length,
  })
  return { ...gap, spans: [rest(gap.spans[0]), rest(gap.spans[1])] }
}

function without(text: string, span: Span, instead: string): string {
  return applyEdit(text, { span, text: instead })
}

function textOf(filled: FilledHole): string {
  return filled.kind === 'completion' ? filled.edit.text : ''
}

function costOf(filled: readonly Pick<Filled, 'steps' | 'ms' | 'encodedRows'>[]) {
  const sum = (of: (one: (typeof filled)[number]) => number) => filled.reduce((total, one) => total + of(one), 0)
  return {
    steps: sum(({ steps }) => steps),
    denoiseMs: sum(({ ms }) => ms.denoise),
    encodedRows: sum(({ encodedRows }) => encodedRows),
  }
}

async function measure(gap: NameCase): Promise<CaseResult> {
  const { text, spans, languageId, name, path } = gap
  const holes = spans.map((span) => ({ span, scope: 'line' as const }))
  // The context is read beforehand, as it is when an editor has the document open.
  await fillHoles(rooms, { ...request, text, languageId, holes, maxTokens: 1 }, never)
  const outcomes: Record<string, Outcome> = {}
  for (const [title, strategy] of Object.entries(strategies)) {
    const before = process.cpuUsage()
    const outcome = await strategy(gap)
    const { user, system } = process.cpuUsage(before)
    outcomes[title] = { ...outcome, processorMs: (user + system) / 1000 }
  }
  const lines = text.slice(spans[0].start, spans[1].start).split('\n').length - 1
  const [left, right] = spans.map(({ start, end }) => text.slice(start, end))
  return { key: keyOf(path, spans), languageId, name, truths: [left!, right!], lines, outcomes }
}

function keyOf(path: string, spans: NameCase['spans']): string {
  return `${path} ${spans.map(({ start }) => start).join(' ')}`
}

/** What the others are compared with, case by case. */
const baseline = 'one by one, left then right'

function readResults(file: string): CaseResult[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => JSON.parse(line) as CaseResult)
}

function table(results: readonly CaseResult[]): string {
  const rows = Object.keys(strategies).map((title) => {
    const all = results.map(({ name, truths, outcomes }) => ({ name, truths, ...outcomes[title]! }))
    const sameName = ({ texts }: Outcome) => nameOf(texts[0]) !== '' && nameOf(texts[0]) === nameOf(texts[1])
    const against = results.map(({ outcomes }) => [outcomes[title]!, outcomes[baseline]!].map(sameName))
    const share = (is: (one: (typeof all)[number]) => boolean) =>
      `${rounded((100 * all.filter(is).length) / all.length)} %`
    const mean = (of: (one: (typeof all)[number]) => number) =>
      rounded(all.reduce((sum, one) => sum + of(one), 0) / all.length)
    return [
      title,
      share(({ texts, name }) => nameOf(texts[0]) === name && nameOf(texts[1]) === name),
      share(sameName),
      `+${against.filter(([mine, other]) => mine && !other).length} −${against.filter(([mine, other]) => !mine && other).length}`,
      share(({ texts, name }) => nameOf(texts[0]) === name),
      share(({ texts, name }) => nameOf(texts[1]) === name),
      share(({ texts, truths }) => texts[0] === truths[0] && texts[1] === truths[1]),
      share(({ texts, truths }) => texts[0] === truths[0]),
      share(({ texts, truths }) => texts[1] === truths[1]),
      mean(({ steps }) => steps),
      mean(({ denoiseMs }) => denoiseMs),
      mean(({ processorMs }) => processorMs),
      mean(({ encodedRows }) => encodedRows),
    ]
  })
  const names = ['both names right', 'same name', 'beside one by one', 'bound name right', 'used name right']
  const exact = ['both exact', 'bound exact', 'used exact']
  const head = ['', ...names, ...exact, 'steps', 'denoise ms', 'processor ms', 'rows encoded']
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
  return [`${results.length} cases`, '', line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n')
}

const results = readResults(out)
const known = new Set(results.map(({ key }) => key))
const until = performance.now() + 1000 * Number(values.seconds)
const drawn = positionals[0] ? drawNames(positionals[0], Number(values['per-language']), Number(values.seed)) : []
const cases = values.rest ? drawn.map(toLineEnds) : drawn
// One of each language in turn, so that what was measured so far is a fair part of all.
const turn = new Map(
  cases.map((one) => [one, cases.filter(({ languageId }) => languageId === one.languageId).indexOf(one)]),
)
for (const gap of cases.toSorted((a, b) => turn.get(a)! - turn.get(b)!)) {
  if (performance.now() > until) break
  if (known.has(keyOf(gap.path, gap.spans))) continue
  const result = await measure(gap)
  results.push(result)
  appendFileSync(out, `${JSON.stringify(result)}\n`)
}
await rooms.close()
process.stdout.write(`${table(results)}\n${cases.length - results.length} left\n`)
