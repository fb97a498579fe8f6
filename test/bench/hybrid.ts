/**
 * What canvas and base know of the leftmost open slot, by hand: along the true text of real gaps, token by token, both
 * distributions, for a rule that combines them to be fitted on. All tokens of a gap in one pass.
 * `node dist/hybrid.js OUT.jsonl FOLDER`
 */
import { appendFileSync } from 'node:fs'
import { openRooms } from '../../server/cli/openRooms.ts'
import type { ContextPiece, Prediction, StepJob } from '../../server/engine/engine.ts'
import { heldBackClamp, planGap } from '../../server/infill/plan.ts'
import { resolveModel } from '../../server/model/store.ts'
import { drawGaps, type GapCase } from './gapCases.ts'
import { commandLine } from './options.ts'
import { wholeLine } from './placeCases.ts'

const help = `node dist/hybrid.js [options] OUT.jsonl FOLDER
  --count N           gaps of each language (default 100)
  --from N, --to N    of these, to go on where a run stopped (default: all)
  --seed N            of the gaps (default 11)
  --tokens N          of each gap, at the most (default 6)
  --lines             whole lines behind their indentation
`
const { values, positionals } = commandLine(
  help,
  {
    allowPositionals: true,
    options: {
      count: { type: 'string', default: '100' }, // of each language
      from: { type: 'string', default: '0' }, // cases passed over, to go on where a run stopped
      to: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '11' },
      tokens: { type: 'string', default: '6' },
      lines: { type: 'boolean' }, // whole lines behind their indentation
    },
  },
  2,
)
const [out, folder] = positionals as [string, string]
const rooms = await openRooms(await resolveModel())
const { model, engine } = rooms
const endIds = [...model.endIds, ...model.lineBreakIds]
const endSet = new Set(endIds)
const forbidden = new Set([...model.forbiddenIds, model.maskId])
const signal = new AbortController().signal

const drawn = drawGaps(folder, Number(values.count), Number(values.seed))
for (const [i, gap] of drawn.map((gap) => (values.lines ? wholeLine(gap) : gap)).entries()) {
  if (i < Number(values.from) || i >= Number(values.to)) continue
  appendFileSync(out, `${JSON.stringify({ case: i, language: gap.languageId, tokens: await look(gap) })}\n`)
}
await rooms.close()

async function look({ text, offset, truth }: GapCase) {
  const plan = planGap(text, offset, model)
  const { prefixIds, suffixIds, held } = plan
  const truthIds = model.encode(held + truth).slice(0, Number(values.tokens))
  const whole = model.encode(held + truth).length === truthIds.length
  const suffix = await rooms.suffixes.encode(suffixIds, signal)
  const prefix = await rooms.prefixes.encode(prefixIds.slice(0, -1), signal)
  const at = prefixIds.length - 1
  const slots = model.canvasSlots
  const piece = (id: number | undefined, rows: number, firstPosition: number): ContextPiece[] =>
    id === undefined ? [] : [{ id, rows, firstPosition }]
  const before = piece(prefix.id, at, 0)
  const scored = [...truthIds, ...(whole ? ['end' as const] : [])].slice(0, Math.min(slots, Number(values.tokens)))
  const scoreId = (n: number) => truthIds[n] ?? endIds[0]!
  const canvases = scored.map((_, n): StepJob => {
    const ids = [prefixIds.at(-1)!, ...truthIds.slice(0, n), ...Array<number>(slots - n).fill(model.maskId)]
    return {
      ids,
      positions: ids.map((_, j) => at + j),
      context: [...piece(suffix.id, suffixIds.length, at + 1 + slots), ...before],
      asked: [at + 1 + n],
      setIds: endIds,
      scoreIds: [scoreId(n)],
    }
  })
  const readIds = [prefixIds.at(-1)!, ...truthIds.slice(0, scored.length - 1)]
  const positions = readIds.map((_, j) => at + j)
  const base: StepJob = {
    ...{ kind: 'text', ids: readIds, positions, context: before, asked: positions.map((p) => p + 1), setIds: endIds },
    scoreIds: scored.map((_, n) => scoreId(n)),
  }
  const predictions = await engine.step([...canvases, base], signal)
  prefix.end()
  suffix.end()
  const clamp = heldBackClamp(held, 'line', model.tokenText)
  const said = predictions.at(-1)!
  return scored.map((_, n) => {
    const leading = truthIds.slice(0, n)
    const clamped = !clamp.isOver(leading)
    const may = (id: number) => !forbidden.has(id) && (!clamped || clamp.allows(leading, id))
    const about = (prediction: Prediction, row: number) => ({
      ids: prediction.topIds[row]!,
      lp: prediction.topLogProbs[row]!.map((value) => Number(value.toFixed(4))),
      kinds: prediction.topIds[row]!.map((id) => (endSet.has(id) ? 1 : may(id) ? 0 : 2)),
      end: prediction.setLogProbs[row]!,
      truth: truthIds[n] === undefined ? prediction.setLogProbs[row]! : prediction.scoreLogProbs[row]!,
      entropy: prediction.entropy[row]!,
    })
    return {
      n,
      truth: truthIds[n] ?? 'end',
      clamped,
      held,
      last: plan.before.at(-1 - held.length) ?? '',
      piece: leading.length > 0 ? model.tokenText(leading.at(-1)!) : '',
      next: truthIds[n] === undefined ? '' : model.tokenText(truthIds[n]),
      canvas: about(predictions[n]!, 0),
      base: about(said, n),
    }
  })
}
