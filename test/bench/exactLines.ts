/**
 * Quality by hand: lines of real files cut at any character, filled, compared with what stood there.
 * `node dist/exactLines.js FOLDER`
 */
import { openRooms } from '../../server/cli/openRooms.ts'
import { windowSize } from '../../server/infill/plan.ts'
import { resolveModel } from '../../server/model/store.ts'
import { fillGap } from '../../server/session/fillGap.ts'
import { drawGaps } from './gapCases.ts'
import { commandLine } from './options.ts'
import { median, rounded } from './stats.ts'

const help = `node dist/exactLines.js [options] FOLDER
  --slots N, --threshold P, --window N
      of a canvas (default 8, 0.9, 4)
  --count N, --seed N gaps of each language, and which (default 40, 1)
  --prefix N, --suffix N
      characters before, tokens behind (default 768, 64)
  --floor P, --show P gives up, and shows, above this (default 0, 0)
  --model DIR         default: the embedded one
  --stored            multiplies matrices as they lie on disk
  --print, --raw      each line; without the filters
`
const { values, positionals } = commandLine(
  help,
  {
    allowPositionals: true,
    options: {
      slots: { type: 'string', default: '8' },
      threshold: { type: 'string', default: '0.9' },
      window: { type: 'string', default: '4' },
      count: { type: 'string', default: '40' },
      floor: { type: 'string', default: '0' },
      prefix: { type: 'string', default: '768' },
      model: { type: 'string' },
      suffix: { type: 'string', default: '64' },
      seed: { type: 'string', default: '1' },
      show: { type: 'string', default: '0' },
      print: { type: 'boolean' },
      raw: { type: 'boolean' },
      stored: { type: 'boolean' },
    },
  },
  1,
)
Object.assign(windowSize, { prefix: Number(values.prefix) })
const rooms = await openRooms(await resolveModel(values.model), {
  cache: true,
  canvasSlots: Number(values.slots),
  weights: values.stored ? 'stored' : 'fastest',
})
Object.assign(rooms.model, {
  threshold: Number(values.threshold),
  window: Number(values.window),
  suffixTokens: Number(values.suffix),
})
const results: {
  exact: boolean
  first: boolean
  steps: number
  tokens: number
  probability: number
  ms: number
  finish: string
  language: string
  shown: boolean
}[] = []
for (const { text, offset, truth, languageId } of drawGaps(
  positionals[0]!,
  Number(values.count),
  Number(values.seed),
)) {
  const filled = await fillGap(
    rooms,
    {
      text,
      offset,
      scope: 'line',
      maxTokens: 48,
      languageId,
      certainty: { giveUp: Number(values.floor), show: Number(values.show) },
    },
    new AbortController().signal,
  )
  const shown = filled.kind === 'completion' ? filled.edit.text : ''
  const exact = shown === truth
  const first = shown !== '' && truth.startsWith(shown)
  results.push({
    exact,
    first,
    steps: filled.steps,
    tokens: filled.tokens,
    probability: filled.probabilities.reduce((a, b) => a * b, 1),
    ms: filled.ms.denoise,
    finish: filled.finish,
    language: languageId,
    shown: shown !== '',
  })
  if (values.raw) {
    const held = text[offset - 1] === ' ' ? 1 : 0
    const right = filled.ids.map((_, n) => truth.startsWith(rooms.model.decode(filled.ids.slice(0, n + 1)).slice(held)))
    process.stdout.write(`RAW ${JSON.stringify({ p: filled.probabilities, right, finish: filled.finish, exact })}\n`)
  }
  if (values.print)
    process.stdout.write(
      `${exact ? '=' : ' '} ${filled.probabilities.reduce((a, b) => a * b, 1).toFixed(3)} ${filled.steps} ${JSON.stringify(text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset))} → ${JSON.stringify(shown)} | ${JSON.stringify(truth)}\n`,
    )
}
await rooms.close()
const share = (some: (typeof results)[number][], f: (r: (typeof results)[number]) => boolean) =>
  rounded((100 * some.filter(f).length) / some.length)
const mean = (f: (r: (typeof results)[number]) => number) =>
  rounded(results.reduce((sum, r) => sum + f(r), 0) / results.length, 2)
process.stdout.write(
  `${JSON.stringify({ ...values, cases: results.length, exact: share(results, (r) => r.exact), prefix_right: share(results, (r) => r.first), shown: share(results, (r) => r.shown), tokens_p50: median(results.filter((r) => r.shown).map((r) => r.tokens)), steps: mean((r) => r.steps), steps_p50: median(results.map((r) => r.steps)), tokens: mean((r) => r.tokens), ms_p50: rounded(median(results.map((r) => r.ms))) })}\n`,
)
for (const [from, to] of [
  [0.5, 1.01],
  [0.2, 0.5],
  [0.1, 0.2],
  [0.05, 0.1],
  [0.02, 0.05],
  [0.005, 0.02],
  [0, 0.005],
] as const) {
  const bin = results.filter((r) => r.probability >= from && r.probability < to)
  process.stdout.write(
    `  probability ${from}–${to}: ${bin.length} cases, exact ${bin.filter((r) => r.exact).length}, steps ${rounded(bin.reduce((s, r) => s + r.steps, 0) / bin.length)}\n`,
  )
}
