/**
 * Verify mode against plain reading with the same engine, by hand: the base's greedy rest of a line, a token a pass, each
 * row kept; and the same with the canvas guessing ahead.
 * `node dist/verify.js OUT.jsonl FOLDER`
 */
import { appendFileSync } from 'node:fs'
import { openRooms } from '../../server/cli/openRooms.ts'
import type { DenoiseRequest } from '../../server/denoise/denoiser.ts'
import type { ContextPiece } from '../../server/engine/engine.ts'
import { heldBackClamp, planGap } from '../../server/infill/plan.ts'
import { resolveModel } from '../../server/model/store.ts'
import { drawGaps, type GapCase } from './gapCases.ts'
import { commandLine } from './options.ts'

const help = `node dist/verify.js [options] OUT.jsonl FOLDER
  --settings LIST     slots guessed ahead, and how probable these are at least (default 3:0.3,3:0.6,7:0.3)
  --count N           gaps of each language (default 20)
  --from N, --to N    of these, to go on where a run stopped (default: all)
  --seed N            of the gaps (default 31)
  --slots N           of a canvas (default 8)
`
const { values, positionals } = commandLine(
  help,
  {
    allowPositionals: true,
    options: {
      count: { type: 'string', default: '20' }, // of each language
      from: { type: 'string', default: '0' },
      to: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '31' },
      settings: { type: 'string', default: '3:0.3,3:0.6,7:0.3' }, // slots guessed ahead, and how probable these are at least
      slots: { type: 'string', default: '8' },
    },
  },
  2,
)
const [out, folder] = positionals as [string, string]
const maxTokens = 24
const rooms = await openRooms(await resolveModel())
const { model, engine } = rooms
const endIds = new Set([...model.endIds, ...model.lineBreakIds])
const forbiddenIds = new Set([...model.forbiddenIds, model.maskId])
const signal = new AbortController().signal

for (const [i, gap] of drawGaps(folder, Number(values.count), Number(values.seed)).entries()) {
  if (i < Number(values.from) || i >= Number(values.to)) continue
  appendFileSync(out, `${JSON.stringify({ case: i, language: gap.languageId, ...(await compare(gap)) })}\n`)
}
await rooms.close()

async function compare({ text, offset }: GapCase) {
  const { prefixIds, suffixIds, held } = planGap(text, offset, model)
  const suffix = await rooms.suffixes.encode(suffixIds, signal)
  const prefix = await rooms.prefixes.encode(prefixIds.slice(0, -1), signal)
  const clamp = heldBackClamp(held, 'line', model.tokenText)
  const plain = await readOn(prefixIds, prefix.id, clamp)
  const runs: Record<string, unknown> = {}
  for (const setting of values.settings.split(',')) {
    const [ahead, threshold] = setting.split(':').map(Number) as [number, number]
    const request: DenoiseRequest = {
      texts: [prefixIds, suffixIds],
      holes: [
        { length: { kind: 'verified', slots: Number(values.slots), ahead, threshold }, maxTokens, floor: 0, clamp },
      ],
      context: { kind: 'causal', encodings: [prefix.id, suffix.id] },
      schedule: { kind: 'leftmost-first', threshold: 0.9, window: 4 },
      ...{ maskId: model.maskId, endIds, forbiddenIds, urgent: true },
    }
    const began = performance.now()
    const { middles, steps, rows } = await rooms.denoiser.denoise(request, signal)
    const ms = performance.now() - began
    const { ids } = middles[0]!
    const differs = [...ids, -1].findIndex((id, at) => id !== (plain.ids[at] ?? -1))
    const same = differs < 0
    runs[setting] = { same, steps, rows, ms, ...(same ? {} : { differs, margin: plain.margins[differs] }) }
  }
  prefix.end()
  suffix.end()
  return { plain, runs }
}

/** Greedily, a row a pass. */
async function readOn(
  prefixIds: readonly number[],
  prefix: number | undefined,
  clamp: ReturnType<typeof heldBackClamp>,
) {
  const ids: number[] = []
  const margins: number[] = []
  const at = prefixIds.length - 1
  const context: ContextPiece[] = prefix === undefined ? [] : [{ id: prefix, rows: at, firstPosition: 0 }]
  const kept: number[] = []
  const began = performance.now()
  let passes = 0
  while (ids.length < maxTokens) {
    const position = at + ids.length
    const [said] = await engine.step(
      [
        {
          ...{ kind: 'text', ids: [[...prefixIds, ...ids].at(-1)!], positions: [position], asked: [position + 1] },
          ...{ context: [...context], setIds: [], keep: [{ first: 0, count: 1 }] },
        },
      ],
      signal,
    )
    passes++
    kept.push(said!.kept[0]!.id)
    context.push({ id: said!.kept[0]!.id, rows: 1, firstPosition: position })
    const clamped = !clamp.isOver(ids)
    const may = said!.topIds[0]!.flatMap((id, k) =>
      forbiddenIds.has(id) || (clamped && !clamp.allows(ids, id)) ? [] : [{ id, logProb: said!.topLogProbs[0]![k]! }],
    )
    if (!may[0]) break
    margins.push(may[0].logProb - (may[1]?.logProb ?? Number.NEGATIVE_INFINITY))
    if (!clamped && endIds.has(may[0].id)) break
    ids.push(may[0].id)
  }
  const ms = performance.now() - began
  engine.release(kept)
  return { ids, margins: margins.map((margin) => Number(margin.toFixed(4))), passes, ms }
}
