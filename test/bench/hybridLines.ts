/**
 * Hybrid decoding against pure, by hand: the same gaps filled with each share of the base, side by side in one process.
 * `node dist/hybridLines.js OUT.jsonl FOLDER_OR_FILE`
 */
import { appendFileSync } from 'node:fs'
import { openRooms } from '../../server/cli/openRooms.ts'
import { resolveModel } from '../../server/model/store.ts'
import { fillGap } from '../../server/session/fillGap.ts'
import { askedFor } from '../../server/session/gaps.ts'
import { drawGaps } from './gapCases.ts'
import { commandLine } from './options.ts'
import { humanEvalLines, wholeLine } from './placeCases.ts'
import { seededRandom } from './stats.ts'

const help = `node dist/hybridLines.js [options] OUT.jsonl FOLDER_OR_FILE
  --shares LIST       of the base (default 0,0.2,0.4,0.6)
  --kind KIND         any, lines or humaneval (default any)
  --count N           gaps of each language; of HumanEval in all (default 100)
  --from N, --to N    of these, to go on where a run stopped (default: all)
  --seed N            of the gaps (default 21)
`
const { values, positionals } = commandLine(
  help,
  {
    allowPositionals: true,
    options: {
      shares: { type: 'string', default: '0,0.2,0.4,0.6' },
      kind: { type: 'string', default: 'any' },
      count: { type: 'string', default: '100' }, // of each language; of HumanEval in all
      from: { type: 'string', default: '0' }, // cases passed over, to go on where a run stopped
      to: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '21' },
    },
  },
  2,
)
const [out, source] = positionals as [string, string]
const rooms = await openRooms(await resolveModel())
const signal = new AbortController().signal
for (const [i, { text, offset, truth, languageId }] of cases().entries()) {
  if (i < Number(values.from) || i >= Number(values.to)) continue
  const runs: Record<string, unknown> = {}
  for (const share of values.shares.split(',')) {
    Object.assign(rooms.model, { baseShare: Number(share) })
    const request = { text, offset, scope: 'line', maxTokens: 48, languageId, certainty: askedFor } as const
    const filled = await fillGap(rooms, request, signal)
    const shown = filled.kind === 'completion' ? filled.edit.text : ''
    runs[share] = {
      shown,
      exact: shown === truth,
      begins: shown !== '' && truth.startsWith(shown),
      steps: filled.steps,
      tokens: filled.tokens,
      rows: filled.rows,
      ms: filled.ms.denoise,
      finish: filled.finish,
      probabilities: filled.probabilities,
      texts: filled.ids.map((id) => rooms.model.tokenText(id)),
    }
  }
  const before = text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset)
  appendFileSync(out, `${JSON.stringify({ case: i, language: languageId, before, truth, runs })}\n`)
}
await rooms.close()

function cases() {
  const [count, seed] = [Number(values.count), Number(values.seed)]
  if (values.kind !== 'humaneval')
    return drawGaps(source, count, seed).map((gap) => (values.kind === 'lines' ? wholeLine(gap) : gap))
  const all = humanEvalLines(source)
  const random = seededRandom(seed)
  return Array.from({ length: count }, () => all.splice(Math.floor(random() * all.length), 1)[0]!)
}
