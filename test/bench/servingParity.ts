/**
 * `serving/` against the engine of this machine, by hand: rests of lines in real files, filled by both, number by number.
 * `FLOAT` is the bundle in float32 (`--make`: made first), as the server computes; the server reads `--model` itself.
 * `node dist/servingParity.js --engine http://127.0.0.1:8080 FLOAT OUT.jsonl FOLDER`
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { openRooms } from '../../server/cli/openRooms.ts'
import { floatBundle } from '../../server/model/dequantize.ts'
import { resolveModel } from '../../server/model/store.ts'
import { fillGap } from '../../server/session/fillGap.ts'
import { askedFor } from '../../server/session/gaps.ts'
import { drawGaps } from './gapCases.ts'
import { commandLine } from './options.ts'
import { median } from './stats.ts'

interface Line {
  readonly case: string
  readonly same: boolean // ids and text
  readonly difference: number // the largest of a log-probability, over the tokens both wrote
  readonly ours: string
  readonly theirs: string
  readonly tokens: number
  readonly ms: readonly [ours: number, theirs: number]
}

const help = `node dist/servingParity.js --engine http://127.0.0.1:8080 [options] FLOAT OUT.jsonl FOLDER
  --make              makes FLOAT first, the bundle in float32
  --model DIR         what the server reads (default: the embedded one)
  --contract steps    pass after pass (default: whole gaps, where the server offers it)
  --count N           gaps of each language (default 34)
  --seed N            of the gaps (default 21)
  --seconds N         then it stops; what is in OUT is not done again (default 200)
`
const { values, positionals } = commandLine(
  help,
  {
    allowPositionals: true,
    options: {
      engine: { type: 'string' },
      model: { type: 'string' },
      count: { type: 'string', default: '34' }, // of each language
      seed: { type: 'string', default: '21' },
      seconds: { type: 'string', default: '200' }, // then it stops; what is in OUT is not done again
      contract: { type: 'string', default: 'auto' }, // or steps
      make: { type: 'boolean' },
    },
  },
  3,
)
const [float, out, folder] = positionals as [string, string, string]
const began = performance.now()
const dir = await resolveModel(values.model)
if (values.make && !existsSync(float)) await floatBundle(dir, float)
const contract = values.contract === 'steps' ? 'steps' : 'auto'
const here = await openRooms(float, { cache: true })
const there = await openRooms(dir, { cache: true, engine: { address: values.engine!, standIn: false, contract } })
const lines: Line[] = existsSync(out)
  ? readFileSync(out, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  : []
const done = new Set(lines.map((line) => line.case))
const gaps = drawGaps(folder, Number(values.count), Number(values.seed))
// Languages take turns, so that a run that stops has some of each.
const perLanguage = Number(values.count)
const turns = Array.from({ length: perLanguage }, (_, i) => gaps.filter((_, at) => at % perLanguage === i)).flat()
for (const { path, text, offset, languageId } of turns) {
  const name = `${path}:${offset}`
  if (done.has(name)) continue
  if (performance.now() - began > 1000 * Number(values.seconds)) break
  const request = { text, offset, scope: 'line', maxTokens: 48, languageId, certainty: askedFor } as const
  const [ours, theirs] = [await fillGap(here, request, signal()), await fillGap(there, request, signal())]
  const shown = ({ kind, ...rest }: typeof ours) => ('edit' in rest ? rest.edit.text : `(${kind})`)
  let difference = 0
  for (let i = 0; ours.ids[i] === theirs.ids[i] && i < ours.ids.length; i++)
    difference = Math.max(difference, Math.abs(Math.log(ours.probabilities[i]!) - Math.log(theirs.probabilities[i]!)))
  const line: Line = {
    case: name,
    same: shown(ours) === shown(theirs) && `${ours.ids}` === `${theirs.ids}`,
    difference,
    ours: shown(ours),
    theirs: shown(theirs),
    tokens: ours.tokens,
    ms: [Math.round(ours.ms.total), Math.round(theirs.ms.total)],
  }
  lines.push(line)
  appendFileSync(out, `${JSON.stringify(line)}\n`)
}
await here.close()
await there.close()
for (const { case: name, ours, theirs } of lines.filter(({ same }) => !same))
  process.stdout.write(`${name}: here ${JSON.stringify(ours)}, there ${JSON.stringify(theirs)}\n`)
const sum = lines.reduce((total, { tokens }) => total + tokens, 0)
const largest = Math.max(...lines.map(({ difference }) => difference))
process.stdout.write(
  `${lines.filter(({ same }) => same).length} of ${lines.length} gaps with the same ids and text, ${sum} tokens, of ${gaps.length} drawn; \
largest difference of a log-probability ${largest.toExponential(1)}; \
median ${median(lines.map(({ ms }) => ms[0]))} ms here, ${median(lines.map(({ ms }) => ms[1]))} ms there\n`,
)

function signal(): AbortSignal {
  return new AbortController().signal
}
