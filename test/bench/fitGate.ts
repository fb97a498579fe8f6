/**
 * Fits the gate of `server/session/gate.ts` on one record of `gate.ts` and tells what it is worth on another one.
 * `node dist/fitGate.js [--svg test/bench/plots/gate.svg] FIT TEST`
 *
 * All lines count, those given up too: coverage is the share of places at which a whole line is shown.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { exactness, leastProduct } from '../../server/session/gate.ts'
import { chart } from './chart.ts'
import { fitLogistic, logistic } from './logistic.ts'
import { median } from './stats.ts'

interface Line {
  readonly languageId: string
  readonly shown: string
  readonly exact: boolean
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
  margin: ({ steps }) => steps.reduce((a, { rows }) => Math.min(a, rows[0]![0]! - rows[0]![1]!), 1),
  entropy: ({ steps }) => mean(steps.map(({ rows }) => rows[0]![3]!)),
  inWord: ({ line }) => Number(/[\p{L}\p{N}_$]$/u.test(line)),
  afterSpace: ({ line }) => Number(/\S.*\s$/.test(line)),
  lineStart: ({ line }) => Number(line.trim() === ''),
  inProse: ({ line, languageId }) => Number((languageId === 'python' ? /#|"""/ : /\/\/|^\s*\/?\*/).test(line)),
  baseMean: ({ base }) => mean(base?.tokens ?? [-7]),
  baseLeast: ({ base }) => least(base?.tokens ?? [-7]),
  baseEnd: ({ base }) => Math.max(base?.end ?? -1, -14),
  natural: ({ base }) => mean(base?.natural ?? base?.tokens ?? [-7]),
  ahead: ({ base }) => sum(base?.ahead ?? []) - sum(base?.aheadEmpty ?? []),
} as const satisfies Record<string, Feature>

type Name = keyof typeof features
const situation: readonly Name[] = ['inWord', 'afterSpace', 'lineStart', 'inProse']
const commits: readonly Name[] = ['product', 'end', 'least', 'first', 'margin', 'entropy']
const base: readonly Name[] = ['baseMean', 'baseLeast', 'baseEnd', 'natural', 'ahead']

/** Scores of lines, from single features and from what is fitted of several. */
const models: Readonly<Record<string, readonly Name[]>> = {
  'product and end': ['product', 'end'],
  'product, end, tokens': ['product', 'end', 'tokens'],
  'product, end, situation': ['product', 'end', 'tokens', ...situation],
  'all without base': [...commits, 'tokens', 'steps', 'units', 'closers', ...situation],
  'product, end, base': ['product', 'end', 'baseMean', 'baseEnd', 'ahead'],
  'all with base': [...commits, 'tokens', 'steps', 'units', 'closers', ...situation, ...base],
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { svg: { type: 'string' } } })
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
for (const name of ['product', 'least', 'baseMean', 'natural', 'margin'] as const) tell(name, features[name])
tell('product × end', (line) => features.product(line) + features.end(line))
for (const [name, names] of Object.entries(models)) tell(name, fitted(names))
const gate: Feature = ({ probabilities, end }) => exactness({ probabilities, end })
tell('as shipped (gate.ts)', gate)

write('\nweights, features as they are')
for (const names of [models['product and end']!, models['product, end, tokens']!]) {
  const weights = weightsOf(names)
  write(`  ${['bias', ...names].map((name, i) => `${name} ${weights[i]!.toFixed(3)}`).join(', ')}`)
}

write('\nreliability of the shipped gate: said → exactly right')
for (const [from, to] of [
  [0, 0.1],
  [0.1, 0.2],
  [0.2, 0.35],
  [0.35, 0.5],
  [0.5, 0.65],
  [0.65, 0.8],
  [0.8, 1.01],
] as const) {
  const bin = test.filter((line) => canShow(line) && gate(line) >= from && gate(line) < to)
  if (bin.length > 0)
    write(
      `  ${mean(bin.map(gate)).toFixed(2)} → ${mean(bin.map(({ exact }) => Number(exact))).toFixed(2)}  (${bin.length} lines)`,
    )
}

write(
  '\nsetting   whole lines shown, exact   + beginnings shown, right so far   all shown: exact, right so far   steps a line',
)
const settings = [0, 0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7]
for (const showAbove of settings) write(rowAt(showAbove))

if (values.svg) {
  const curveOf = (score: Feature) => coverageCurve(test, score)
  const svg = chart({
    title: `Whole lines shown unasked, and how many are exactly right (${test.length} held-out lines)`,
    x: 'share of places at which a line is shown, %',
    y: 'exactly right of these, %',
    curves: {
      'gate (as shipped)': curveOf(gate),
      'all features with base': curveOf(fitted(models['all with base']!)),
      'least probable token': curveOf(features.least),
      'base alone': curveOf(features.baseMean),
    },
  })
  writeFileSync(values.svg, svg)
}

/** What is shown at a setting, and what it costs: work stops where nothing can be shown of it any more. */
function rowAt(showAbove: number): string {
  const floor = leastProduct(showAbove)
  let [whole, wholeExact, begun, begunRight, steps] = [0, 0, 0, 0, 0]
  for (const line of test) {
    steps += stepsUntil(line, floor)
    if (canShow(line) && gate(line) >= showAbove) {
      whole++
      if (line.exact) wholeExact++
      continue
    }
    let product = 1
    const end = line.probabilities.findIndex((probability) => (product *= probability) < showAbove)
    const run = end < 0 ? line.probabilities.length : end
    if (run === 0) continue
    begun++
    if (line.right[run - 1]) begunRight++
  }
  const wholeRight = wholeExact
  return [
    showAbove.toFixed(2),
    `${percent(whole / test.length)}, ${percent(wholeExact / Math.max(1, whole))}`,
    `${percent(begun / test.length)}, ${percent(begunRight / Math.max(1, begun))}`,
    `${percent(wholeExact / Math.max(1, whole + begun))}, ${percent((wholeRight + begunRight) / Math.max(1, whole + begun))}`,
    (steps / test.length).toFixed(2),
  ].join('   ')
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
const rowOf = (line: Line, names: readonly Name[]) => [1, ...names.map((name) => features[name](line))]

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
