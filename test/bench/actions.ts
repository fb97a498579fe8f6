/**
 * How often a code action puts in what stood there, with the embedded model on real files; how often a slip is what looks
 * most unlikely; and how long listing takes.
 *
 *     node dist/benchActions.js --out FILE FOLDER
 *
 * appends a line of JSON for each case that FILE does not have yet, and prints the table of all that it has; run it again
 * to go on. `--list` measures listing alone.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { applyEdit } from '../../server/base/spans.ts'
import { openRooms } from '../../server/cli/openRooms.ts'
import { NotHere } from '../../server/infill/actions/action.ts'
import { resolveModel } from '../../server/model/store.ts'
import { fillText } from '../../server/session/askedTasks.ts'
import { carryOut, listActions } from '../../server/session/codeActions.ts'
import { scoreTokens } from '../../server/session/unlikely.ts'
import { type ActionCase, drawActions } from './actionCases.ts'
import { commandLine } from './options.ts'
import { median, quantile, rounded } from './stats.ts'

interface Result {
  readonly key: string
  readonly kind: string
  readonly languageId: string
  readonly outcome: 'exact' | 'other' | 'same' | 'nothing'
  readonly overlap: number // F1 of words, what was put in with what stood there
  readonly truth: string
  readonly put: string
  readonly ms: number
}

const help = `node dist/benchActions.js --out FILE [options] FOLDER, or --list FOLDER
  --count N           cases of each kind and language (default 10)
  --seed N            of the cases (default 1)
  --kind WORDS        this kind alone
  --seconds N         then it stops; what is in FILE is not done again (default 200)
  --list              how long listing takes, alone
`
const { values, positionals } = commandLine(
  help,
  {
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      list: { type: 'boolean' },
      count: { type: 'string', default: '10' },
      seed: { type: 'string', default: '1' },
      seconds: { type: 'string', default: '200' },
      kind: { type: 'string' },
    },
  },
  1,
)
const never = new AbortController().signal
const unlikelyKind = 'a slip looks unlikely'

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? []
}

function overlapOf(put: string, truth: string): number {
  const [a, b] = [wordsOf(put), wordsOf(truth)]
  const left = [...b]
  const shared = a.filter((word) => left.includes(word) && left.splice(left.indexOf(word), 1)).length
  return a.length + b.length === 0 ? 1 : (2 * shared) / (a.length + b.length)
}

/** Without blanks at the ends of lines and in lists, which are nobody's choice. */
const plain = (text: string) =>
  text
    .replace(/[ \t]+$/gm, '')
    .replace(/\n{2,}/g, '\n')
    .trim()

function listing(folder: string): void {
  const cases = drawActions(folder, 4, 3)
  const texts = cases.map(({ text, languageId }) => {
    let long = text
    while (long.split('\n').length < 10_000) long += `\n${text}`
    return { text: long, languageId }
  })
  for (const { title, pick } of [
    { title: 'files as they are', pick: cases },
    { title: 'files of 10,000 lines', pick: texts },
  ]) {
    const times: number[] = []
    for (let round = 0; round < 4; round++) {
      for (const { text, languageId } of pick) {
        const start = Math.floor(((round + 1) / 5) * text.length)
        for (const length of [0, 12]) {
          const selection = { start, end: Math.min(text.length, start + length) }
          const began = performance.now()
          listActions({ text, languageId, selection, diagnostics: [{ span: selection, message: 'x' }], asksWish: true })
          times.push(performance.now() - began)
        }
      }
    }
    const figures = [median(times), quantile(times, 0.99), Math.max(...times)].map((time) => rounded(time, 2))
    process.stdout.write(
      `listing, ${title}: median ${figures[0]} ms, p99 ${figures[1]} ms, most ${figures[2]} ms of ${times.length}\n`,
    )
  }
}

async function measure(rooms: Awaited<ReturnType<typeof openRooms>>, one: ActionCase): Promise<Result> {
  const { kind, action, languageId, text, selection, message, wish, wanted, truth } = one
  const began = performance.now()
  const session = { fill: fillText.bind(undefined, rooms) } as Parameters<typeof carryOut>[0]
  const common = { key: keyOf(one), kind, languageId, truth }
  try {
    const request = {
      name: action,
      languageId,
      text,
      selection,
      ...(message ? { message } : {}),
      ...(wish ? { wish } : {}),
    }
    const edits = await carryOut(session, request, never, () => {})
    const ms = performance.now() - began
    const put = edits.map((edit) => edit.text.trim()).join(' · ')
    const done = edits.reduceRight(applyEdit, text)
    // A comment that was a wish is not in the document.
    const isExact =
      wish || kind.startsWith('the same') || kind.startsWith('document')
        ? plain(put).replace(/^(?:\/\*\*[\s*]*|""")\s*|\s*(?:\*\/|""")$/g, '') === truth
        : plain(done) === plain(wanted)
    return { ...common, outcome: isExact ? 'exact' : 'other', overlap: overlapOf(put, truth), put, ms }
  } catch (error) {
    if (!(error instanceof NotHere)) throw error
    const isSame = error.message.includes('the same')
    // Writing what is there already is right where nothing was taken out.
    const outcome = isSame && text === wanted ? 'exact' : isSame ? 'same' : 'nothing'
    return { ...common, outcome, overlap: outcome === 'exact' ? 1 : 0, put: '', ms: performance.now() - began }
  }
}

/** Of the line of a misspelt name: is it among the least likely, and what else is? */
async function measureUnlikely(rooms: Awaited<ReturnType<typeof openRooms>>, one: ActionCase): Promise<Result> {
  const began = performance.now()
  const start = one.text.lastIndexOf('\n', one.selection.start - 1) + 1
  const end = one.text.indexOf('\n', one.selection.end)
  const scored = await scoreTokens(rooms, { text: one.text, span: { start, end } }, never, () => {})
  const marks = scored
    .filter(({ probability }) => probability < 0.02)
    .toSorted((a, b) => a.probability - b.probability)
    .slice(0, 5)
  const isSlip = ({ span }: (typeof marks)[number]) => span.start < one.selection.end && span.end > one.selection.start
  const put = marks
    .map((mark) => `${one.text.slice(mark.span.start, mark.span.end)}${isSlip(mark) ? '*' : ''}`)
    .join(' ')
  const others = marks.filter((mark) => !isSlip(mark)).length
  return {
    ...{ key: keyOf(one), kind: unlikelyKind, languageId: one.languageId, truth: one.truth, put },
    outcome: marks.some(isSlip) ? 'exact' : marks.length > 0 ? 'other' : 'nothing',
    overlap: others, // other marks beside it
    ms: performance.now() - began,
  }
}

function keyOf({ kind, path, selection }: ActionCase): string {
  return `${kind} ${path} ${selection.start}`
}

function table(results: readonly Result[]): string {
  const kinds = [...new Set(results.map(({ kind }) => kind))]
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |\n`
  const rows = kinds.map((kind) => {
    const all = results.filter((result) => result.kind === kind)
    const count = (outcome: Result['outcome']) => all.filter((result) => result.outcome === outcome).length
    const overlap = rounded(all.reduce((sum, one) => sum + one.overlap, 0) / all.length, 2)
    return line([
      kind,
      all.length,
      `${count('exact')} (${Math.round((100 * count('exact')) / all.length)} %)`,
      count('other'),
      count('same') + count('nothing'),
      overlap,
      rounded(median(all.map(({ ms }) => ms)) / 1000),
    ])
  })
  const head = ['', 'cases', 'exact', 'something else', 'nothing', 'words in common', 'seconds']
  return line(head) + line(head.map(() => '---')) + rows.join('')
}

if (values.list) listing(positionals[0]!)
else {
  const out = values.out
  if (!out) throw new Error('wanted --out FILE, where the results go')
  const results: Result[] = existsSync(out)
    ? readFileSync(out, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Result)
    : []
  const drawn = positionals[0] ? drawActions(positionals[0], Number(values.count), Number(values.seed)) : []
  const slips = drawn.filter(({ kind }) => kind === 'fix a wrong name').map((one) => ({ ...one, kind: unlikelyKind }))
  const known = new Set(results.map(({ key }) => key))
  const distinct = [...new Map([...drawn, ...slips].map((one) => [keyOf(one), one])).values()] // some were drawn twice
  const cases = distinct.filter((one) => !values.kind || one.kind.includes(values.kind))
  // One of each kind and language in turn, so that what was measured so far is a fair part of all.
  const groupOf = ({ kind, languageId }: ActionCase) => `${kind} ${languageId}`
  const turn = new Map(cases.map((one) => [one, cases.filter((other) => groupOf(other) === groupOf(one)).indexOf(one)]))
  const open = cases.filter((one) => !known.has(keyOf(one))).toSorted((a, b) => turn.get(a)! - turn.get(b)!)
  const rooms = open.length > 0 ? await openRooms(await resolveModel()) : undefined
  const until = performance.now() + 1000 * Number(values.seconds)
  let left = open.length
  for (const one of open) {
    if (performance.now() > until) break
    const result = one.kind === unlikelyKind ? await measureUnlikely(rooms!, one) : await measure(rooms!, one)
    results.push(result)
    left--
    appendFileSync(out, `${JSON.stringify(result)}\n`)
  }
  await rooms?.close()
  process.stdout.write(`${table(results)}\n${left} left\n`)
}
