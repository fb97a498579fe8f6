/**
 * What a gate could know of a filled line, and whether the line was right: one JSON object a line, for `gateCurve.ts`:
 * `node dist/gate.js OUT FOLDER` appends to OUT and goes on where it ended.
 *
 * A line is filled with almost no floor, so that any other can be told from the record; then rows of text read it.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openRooms } from '../../server/cli/openRooms.ts'
import { textsBeside } from '../../server/config/nearbyFiles.ts'
import { Denoiser } from '../../server/denoise/denoiser.ts'
import type { Engine, Prediction, StepJob, TokenIds } from '../../server/engine/engine.ts'
import { type Plan, planGap } from '../../server/infill/plan.ts'
import { resolveModel } from '../../server/model/store.ts'
import { fillGap } from '../../server/session/fillGap.ts'
import { drawGaps, type GapCase, packageOf } from './gapCases.ts'
import { commandLine } from './options.ts'

const help = `node dist/gate.js [options] OUT FOLDER
  --perLanguage N     gaps (default 200)
  --seed N            of the gaps (default 5)
  --floor P           a line is given up below this (default 0.02)
  --threads N         default 2
  --seconds N         then it stops; run it again to go on (default 200)
`
const { values, positionals } = commandLine(
  help,
  {
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '200' },
      perLanguage: { type: 'string', default: '200' },
      seed: { type: 'string', default: '5' },
      floor: { type: 'string', default: '0.02' },
      threads: { type: 'string', default: '2' },
    },
  },
  2,
)
const [out, folder] = positionals as [string, string]
const began = performance.now()
const aheadTokens = 8
const never = new AbortController().signal
const beside = textsBeside()
const rooms = await openRooms(await resolveModel(), { cache: true, threads: Number(values.threads) })
const { engine, model } = rooms

/** The engine, and what it was asked and said in the fill at hand. */
const heard: { job: StepJob; said: Prediction }[] = []
const listening: Engine = {
  encode: (pieces, signal) => engine.encode(pieces, signal),
  async step(jobs, signal) {
    const predictions = await engine.step(jobs, signal)
    for (const [i, said] of predictions.entries()) heard.push({ job: jobs[i]!, said })
    return predictions
  },
  release: (ids) => engine.release(ids),
  close: () => engine.close(),
}
const listened = { ...rooms, denoiser: new Denoiser(listening) }

/** In turns of the languages, so that any beginning of the record is as mixed as the whole. */
const drawn = drawGaps(folder, Number(values.perLanguage), Number(values.seed))
const perLanguage = drawn.length / 3
const cases = drawn.map((_, i) => drawn[(i % 3) * perLanguage + Math.floor(i / 3)]!)
const done = existsSync(out) ? readFileSync(out, 'utf8').trimEnd().split('\n').length : 0
for (const [i, gap] of cases.entries()) {
  if (i < done) continue
  if (performance.now() - began > 1000 * Number(values.seconds)) break
  appendFileSync(out, `${JSON.stringify(await measure(gap, i))}\n`)
}
await rooms.close()

async function measure({ path, languageId, text, offset, truth }: GapCase, i: number) {
  const plan = planGap(text, offset, model)
  heard.length = 0
  const certainty = { giveUp: Number(values.floor), show: 0 }
  const nearby = await beside(join(folder, path), [join(folder, packageOf(path))])
  const request = { text, nearby, offset, scope: 'line' as const, maxTokens: 48, languageId, certainty }
  const filled = await fillGap(listened, request, never)
  const shown = filled.kind === 'completion' ? filled.edit.text : ''
  const first = plan.prefixIds.length
  const end = heard.at(-1)!
  const endRow = end.job.asked.indexOf(first + filled.ids.length)
  return {
    case: i,
    ...{ path, languageId, truth, shown, exact: shown === truth },
    line: text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset),
    held: plan.held,
    finish: filled.finish,
    ids: filled.ids,
    pieces: filled.ids.map((id) => model.tokenText(id)),
    probabilities: filled.probabilities.map(short),
    right: filled.ids.map((_, n) => truth.startsWith(model.decode(filled.ids.slice(0, n + 1)).slice(plan.held.length))),
    end: endRow < 0 ? 0 : short(Math.exp(end.said.setLogProbs[endRow]!)),
    /** Of each step: tokens committed before it, and of each row asked the two best, the end and the entropy. */
    steps: heard.map(({ job, said }) => ({
      before: job.asked[0]! - first,
      rows: job.asked.map((_, row) => [
        ...said.topLogProbs[row]!.slice(0, 2).map((value) => short(Math.exp(value))),
        short(Math.exp(said.setLogProbs[row]!)),
        short(said.entropy[row]!),
      ]),
    })),
    rows: filled.rows,
    ms: short(filled.ms.denoise),
    base: filled.ids.length > 0 ? await baseScores(plan, filled.ids, shown) : undefined,
  }
}

/**
 * What rows of text say of the tokens as they were committed, of a line end behind them, of what follows with and
 * without them, and of the text in the tokens that it would have in a file.
 */
async function baseScores({ prefixIds, suffixIds, before }: Plan, ids: TokenIds, shown: string) {
  const prefix = await rooms.prefixes.encode(prefixIds.slice(0, -1), never)
  const ahead = suffixIds.slice(0, aheadTokens)
  const job = (whole: TokenIds, from: number): StepJob => ({
    kind: 'text',
    ids: whole.slice(from - 1),
    positions: whole.slice(from - 1).map((_, i) => from - 1 + i),
    context: from > 1 && prefix.id !== undefined ? [{ id: prefix.id, rows: from - 1, firstPosition: 0 }] : [],
    asked: whole.slice(from).map((_, i) => from + i),
    setIds: model.lineBreakIds,
    scoreIds: whole.slice(from),
  })
  const first = prefixIds.length
  const filled = [...prefixIds, ...ids]
  const started = performance.now()
  const [scored] = await engine.step([job([...filled, ...ahead], first)], never)
  const ms = performance.now() - started
  const start = prefixIds[0] === model.documentStartId ? [prefixIds[0]!] : []
  const natural = [...start, ...model.encode(`${before}${shown}`)]
  const apart = natural.findIndex((id, i) => id !== prefixIds[i])
  const from = Math.max(1, Math.min(first - 1, apart < 0 ? natural.length - 1 : apart))
  const jobs: StepJob[] = []
  if (ahead.length > 0) jobs.push(job([...prefixIds, ...ahead], first))
  // A window cut down to the budget does not begin where the text does.
  if (natural.length > from && from >= first - 8) jobs.push(job(natural, from))
  const told = jobs.length > 0 ? await engine.step(jobs, never) : []
  prefix.end()
  const empty = ahead.length > 0 ? told[0] : undefined
  const retold = told.length > (empty ? 1 : 0) ? told.at(-1) : undefined
  return {
    tokens: scored!.scoreLogProbs.slice(0, ids.length).map(short),
    best: scored!.topLogProbs.slice(0, ids.length).map((row) => short(row[0]!)),
    entropy: scored!.entropy.slice(0, ids.length).map(short),
    end: ahead.length > 0 ? short(scored!.setLogProbs[ids.length]!) : undefined,
    ahead: scored!.scoreLogProbs.slice(ids.length).map(short),
    aheadEmpty: empty?.scoreLogProbs.map(short),
    natural: retold?.scoreLogProbs.map(short),
    ms: short(ms),
  }
}

function short(value: number): number {
  return Number(value.toPrecision(4))
}
