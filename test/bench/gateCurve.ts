/**
 * What the gate of `server/session/gate.ts` is worth, and what others would be: fitted on one record of `gate.ts`, told of
 * another one: `node dist/gateCurve.js --svg test/bench/plots/gate.svg FIT TEST`.
 *
 * All places count, those given up too: coverage is the share of places at which something is shown.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { sureRun } from '../../server/session/gate.ts'
import { chart } from './chart.ts'
import { fitLogistic, logistic } from './logistic.ts'
import { commandLine } from './options.ts'
import { median } from './stats.ts'

interface Line {
  readonly languageId: string
  readonly shown: string
  readonly exact: boolean
  readonly truth: string
  readonly line: string // of the cursor's line, what is left of it
  readonly finish: string
  readonly probabilities: readonly number[]
  readonly right: readonly boolean[] // up to each token
  readonly end: number
  readonly steps: readonly { readonly before: number; readonly rows: readonly (readonly number[])[] }[]
  readonly base?: {
    readonly tokens: readonly number[]
    readonly end?: number
    readonly natural?: readonly number[]
    readonly ahead: readonly number[]
    readonly aheadEmpty?: readonly number[]
    readonly ms: number
  }
}

type Feature = (line: Line) => number
const log = (probability: number) => Math.log(Math.max(probability, 1e-6))
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
const mean = (values: readonly number[]) => sum(values) / Math.max(1, values.length)
const least = (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b), 0)

const features = {
  product: ({ probabilities }) => sum(probabilities.map(log)),
  end: ({ end }) => log(end),
  least: ({ probabilities }) => least(probabilities.map(log)),
  first: ({ probabilities }) => log(probabilities[0] ?? 1),
  tokens: ({ probabilities }) => Math.log1p(probabilities.length),
  steps: ({ steps, probabilities }) => steps.length / Math.max(1, probabilities.length),
  units: ({ shown }) => Math.log1p(shown.length),
  closers: ({ shown }) => Number(/^[)\]}>,;:'"` ]*$/.test(shown)),
  margin: ({ steps }) => steps.reduce((a, { rows: [row] }) => (row ? Math.min(a, row[0]! - row[1]!) : a), 1), // a canvas that writes from the left has none
  entropy: ({ steps }) => mean(steps.map(({ rows: [row] }) => row?.[3] ?? 0)),
  inWord: ({ line }) => Number(/[\p{L}\p{N}_$]$/u.test(line)),
  afterSpace: ({ line }) => Number(/\S.*\s$/.test(line)),
  lineStart: ({ line }) => Number(line.trim() === ''),
  inProse: ({ line, languageId }) => Number((languageId === 'python' ? /#|"""/ : /\/\/|^\s*\/?\*/).test(line)),
  baseMean: ({ base }) => mean(base?.tokens ?? [-7]),
  baseLeast: ({ base }) => least(base?.tokens ?? [-7]),
  baseEnd: ({ base }) => Math.max(base?.end ?? -1, -14),
  naturalSum: ({ base }) => sum(base?.natural ?? base?.tokens ?? [-30]),
  natural: ({ base }) => mean(base?.natural ?? base?.tokens ?? [-7]),
  ahead: ({ base }) => sum(base?.ahead ?? []) - sum(base?.aheadEmpty ?? []),
} as const satisfies Record<string, Feature>

type Name = keyof typeof features
const situation: readonly Name[] = ['inWord', 'afterSpace', 'lineStart', 'inProse']
const commits: readonly Name[] = ['product', 'end', 'least', 'first', 'margin', 'entropy']
const base: readonly Name[] = ['baseMean', 'baseLeast', 'baseEnd', 'natural', 'naturalSum', 'ahead']

/** Scores of lines, from single features and from what is fitted of several. */
const models: Readonly<Record<string, readonly Name[]>> = {
  'product, calibrated': ['product'],
  'product, end': ['product', 'end'],
  'product, base in natural tokens': ['product', 'naturalSum'],
  'product, end, tokens': ['product', 'end', 'tokens'],
  'product, end, situation': ['product', 'end', 'tokens', ...situation],
  'all without base': [...commits, 'tokens', 'steps', 'units', 'closers', ...situation],
  'product, end, base': ['product', 'end', 'baseMean', 'baseEnd', 'ahead'],
  'all with base': [...commits, 'tokens', 'steps', 'units', 'closers', ...situation, ...base],
}

const help = `node dist/gateCurve.js [--svg FILE] FIT TEST
  FIT, TEST           records of gate.js: fitted on one, told of the other
  --svg FILE          writes the plot
`
const { values, positionals } = commandLine(help, { allowPositionals: true, options: { svg: { type: 'string' } } }, 2)
const [fit, test] = positionals.map(read) as [Line[], Line[]]
const canShow = ({ finish, shown }: Line) => finish === 'ended' && shown !== ''
const write = (text: string) => process.stdout.write(`${text}\n`)
const percent = (share: number) => `${(100 * share).toFixed(1)} %`

write(
  `${fit.length} lines to fit, ${test.length} to report: ` +
    `exact ${percent(mean(fit.map(({ exact }) => Number(exact))))} and ${percent(mean(test.map(({ exact }) => Number(exact))))}`,
)
write(`the base reads a line in ${median(test.flatMap(({ base }) => (base ? [base.ms] : [])))} ms (median)\n`)
write(
  'exactly right among the surest, of all lines of the report      10 %   15 %   20 %   25 %   30 %   AUC   60 % right up to',
)
for (const name of ['product', 'least', 'margin', 'baseMean', 'natural', 'naturalSum'] as const)
  tell(name, features[name])
tell('product with end', (line) => features.product(line) + features.end(line))
for (const [name, names] of Object.entries(models)) tell(name, fitted(names))

const gate: Feature = ({ probabilities }) => probabilities.reduce((a, b) => a * b, 1)
const weights = weightsOf(['product'])
write(`\ncalibrated, the log-odds would be ${weights[0]!.toFixed(2)} + ${weights[1]!.toFixed(2)} · ln(product)`)
write('reliability of the product, all lines that ended in both records: said → exactly right')
for (const [from, to] of [
  [0, 0.05],
  [0.05, 0.1],
  [0.1, 0.2],
  [0.2, 0.3],
  [0.3, 0.4],
  [0.4, 0.55],
  [0.55, 0.8],
  [0.8, 1.01],
] as const) {
  const bin = [...fit, ...test].filter((line) => canShow(line) && gate(line) >= from && gate(line) < to)
  const right = bin.filter(({ exact }) => exact).length
  if (bin.length > 0)
    write(`  ${mean(bin.map(gate)).toFixed(2)} → ${percent(right / bin.length)}  (${right} of ${bin.length})`)
}

const settings = [0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9]
for (const [name, lines] of [
  ['fit', fit],
  ['test', test],
] as const) {
  write(
    `\n${name}: showAbove · whole lines shown, exact · beginnings shown, right · all shown, right as far as it goes · steps a place`,
  )
  for (const showAbove of settings) write(rowAt(shownAt(lines, showAbove), showAbove))
}

if (values.svg) {
  const curveOf = (score: Feature) => coverageCurve(test, score)
  const shares = Array.from({ length: 100 }, (_, i) => shownAt(test, i / 100))
  const svg = chart({
    title: `What is shown unasked, and how much of it is right (${test.length} held-out places)`,
    x: 'places at which it is shown, %',
    y: 'right of these, %',
    curves: {
      'shown, right as far as it goes': shares
        .map(({ shown, right }) => [100 * shown, 100 * right] as const)
        .filter(([shown]) => shown > 2)
        .toReversed(),
      'whole lines, exactly right': curveOf(gate),
      'whole lines by all features and the base': curveOf(fitted(models['all with base']!)),
      'whole lines by the base alone': curveOf(features.natural),
    },
  })
  writeFileSync(values.svg, svg)
}

interface Shown {
  readonly whole: number // shares of places
  readonly exact: number // of these
  readonly begun: number
  readonly begunRight: number
  readonly shown: number
  readonly right: number
  readonly steps: number // a place
}

/** Work stops where no more of it can be shown. */
function shownAt(lines: readonly Line[], showAbove: number): Shown {
  let [whole, exact, wholeRight, begun, begunRight, steps] = [0, 0, 0, 0, 0, 0]
  for (const line of lines) {
    const { probabilities, right, truth, shown } = line
    steps += stepsUntil(line, showAbove)
    const count = sureRun({ ids: probabilities, probabilities }, showAbove).length
    if (count === probabilities.length && canShow(line)) {
      whole++
      exact += Number(line.exact)
      wholeRight += Number(truth.startsWith(shown))
    } else if (count > 0) {
      begun++
      begunRight += Number(right[count - 1])
    }
  }
  const share = (some: number, of: number) => some / Math.max(1, of)
  return {
    whole: whole / lines.length,
    exact: share(exact, whole),
    begun: begun / lines.length,
    begunRight: share(begunRight, begun),
    shown: (whole + begun) / lines.length,
    right: share(wholeRight + begunRight, whole + begun),
    steps: steps / lines.length,
  }
}

function rowAt(row: Shown, showAbove: number): string {
  const { whole, exact, begun, begunRight, shown, right, steps } = row
  return [
    showAbove.toFixed(2),
    `${percent(whole)}, ${percent(exact)}`,
    `${percent(begun)}, ${percent(begunRight)}`,
    `${percent(shown)}, ${percent(right)}`,
    steps.toFixed(2),
  ].join(' · ')
}

/** The record knows no step after a product of 0.02. */
function stepsUntil({ steps, probabilities }: Line, floor: number): number {
  const product = (count: number) => probabilities.slice(0, count).reduce((a, b) => a * b, 1)
  const stop = steps.findIndex((_, i) => product(steps[i + 1]?.before ?? probabilities.length) < floor)
  return stop < 0 ? steps.length : stop + 1
}

function read(path: string): Line[] {
  return readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
}

/** `[1, …]`, as it is. */
function rowOf(line: Line, names: readonly Name[]): number[] {
  return [1, ...names.map((name) => features[name](line))]
}

/** For features as they are, though the ridge acts on features of mean 0 and deviation 1. */
function weightsOf(names: readonly Name[]): number[] {
  const lines = fit.filter(canShow)
  const rows = lines.map((line) => rowOf(line, names))
  const centre = rows[0]!.map((_, i) => (i === 0 ? 0 : mean(rows.map((row) => row[i]!))))
  const spread = rows[0]!.map((_, i) =>
    i === 0 ? 1 : Math.sqrt(mean(rows.map((row) => (row[i]! - centre[i]!) ** 2))) + 1e-9,
  )
  const right = lines.map(({ exact }) => Number(exact))
  const scaled = fitLogistic(
    rows.map((row) => row.map((value, i) => (value - centre[i]!) / spread[i]!)),
    right,
    1,
  )
  const weights = scaled.map((weight, i) => weight / spread[i]!)
  weights[0]! -= sum(weights.map((weight, i) => weight * centre[i]!))
  return weights
}

function fitted(names: readonly Name[]): Feature {
  const weights = weightsOf(names)
  return (line) => logistic(rowOf(line, names), weights)
}

function tell(name: string, score: Feature): void {
  const curve = coverageCurve(test, score)
  const at = (coverage: number) => curve[Math.round(coverage * test.length) - 1]
  const shares = [0.1, 0.15, 0.2, 0.25, 0.3].map((coverage) =>
    (at(coverage) ? at(coverage)![1].toFixed(1) : '–').padStart(5),
  )
  const upTo = Math.max(0, ...curve.filter(([, right]) => right >= 60).map(([coverage]) => coverage))
  write(`${name.padEnd(58)}${shares.join('  ')}  ${areaUnder(score).toFixed(3)}  ${upTo.toFixed(1)} %`)
}

/** Coverage and precision in percent, after each line from the surest. */
function coverageCurve(lines: readonly Line[], score: Feature): (readonly [number, number])[] {
  const sorted = lines.filter(canShow).toSorted((a, b) => score(b) - score(a))
  let right = 0
  return sorted.map(({ exact }, i) => {
    if (exact) right++
    return [(100 * (i + 1)) / lines.length, (100 * right) / (i + 1)] as const
  })
}

/** Of the receiver operating characteristic, over lines that could be shown. */
function areaUnder(score: Feature): number {
  const lines = test.filter(canShow).map((line) => ({ exact: line.exact, score: score(line) }))
  let [pairs, won] = [0, 0]
  for (const a of lines.filter(({ exact }) => exact))
    for (const b of lines.filter(({ exact }) => !exact)) {
      pairs++
      won += a.score > b.score ? 1 : a.score === b.score ? 0.5 : 0
    }
  return won / pairs
}
