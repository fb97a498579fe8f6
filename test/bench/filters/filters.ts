/**
 * What the filters do to real model output: the share of completions that repeat what stands right of the cursor, filters
 * off and on, and goldens of what the model wrote. `npm run bench:filters -- --help` tells the options.
 *
 * What the model wrote is kept in a file of lines for each language, so that a run goes on where it ended.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { openRooms } from '../../../server/cli/openRooms.ts'
import type { FinishContext } from '../../../server/infill/finish.ts'
import { finishHoles } from '../../../server/infill/finishHoles.ts'
import { planHoles } from '../../../server/infill/plan.ts'
import { resolveModel } from '../../../server/model/store.ts'
import { fillGap } from '../../../server/session/fillGap.ts'
import { askedFor } from '../../../server/session/gaps.ts'
import { sureRun } from '../../../server/session/gate.ts'
import { formatGolden, type GoldenCase } from '../../golden/goldenFile.ts'
import { commandLine, fail } from '../options.ts'
import { rounded } from '../stats.ts'
import { goldenCase } from './golden.ts'
import { drawPlaces, type FilterPlace, type SourceFile } from './places.ts'
import { type Filtered, ratesOf } from './rates.ts'

const help = `npm run bench:filters -- [options] FILE.jsonl …
  FILE.jsonl          files of the corpus (training/README.md): lines of language, package, path, text
  --languages LIST    of the files' own (default: python,typescript,go,rust,c,lua,shell)
  --places N          of each language (default 80)
  --seed N            of the places (default 6)
  --model DIR         default: the embedded one
  --kept DIR          where what the model wrote is kept, and found again (default eval-results/filters)
  --goldens DIR       writes DIR/LANGUAGE.golden, with empty results: then UPDATE_GOLDEN=1 npx vitest run test/golden
  --golden-cases N    of each language (default 20): half as they were drawn, half where the filters took something away
  --seconds N         asks the model for so long at most; run it again for the rest (default 200)
  --show              prints each duplicate that is left, and each exact text that the filters broke
`
const { values, positionals } = commandLine(help, {
  allowPositionals: true,
  options: {
    languages: { type: 'string', default: 'python,typescript,go,rust,c,lua,shell' },
    places: { type: 'string', default: '80' },
    seed: { type: 'string', default: '6' },
    model: { type: 'string' },
    kept: { type: 'string', default: 'eval-results/filters' },
    goldens: { type: 'string' },
    'golden-cases': { type: 'string', default: '20' },
    seconds: { type: 'string', default: '200' },
    show: { type: 'boolean' },
  },
})
if (positionals.length === 0) fail(`wanted files of the corpus\n${help.trimEnd()}`)

/** What the model wrote at one place; `held` begins it. */
interface Kept {
  readonly index: number
  readonly written: string
  readonly sure: string // its beginning that is right with 0.3, as it is shown when nobody asked
  readonly complete: boolean
}

const [maxLineTokens, maxBlockTokens] = [64, 128]
const showAbove = 0.3
const ends = performance.now() + 1000 * Number(values.seconds)
const languageIds: Readonly<Record<string, string>> = { shell: 'shellscript', elisp: 'emacs-lisp' }
const files = readFiles(positionals)
const rooms = await openRooms(await resolveModel(values.model))
mkdirSync(values.kept, { recursive: true })
const rows: string[] = []
const all: Filtered[] = []
for (const language of values.languages.split(',')) {
  const own = files.filter(({ languageId }) => languageId === (languageIds[language] ?? language))
  const places = drawPlaces(own, Number(values.places), Number(values.seed))
  const kept = await writtenAt(places, `${values.kept}/${language}.jsonl`)
  if (kept.length < places.length) {
    process.stderr.write(`${language}: ${kept.length} of ${places.length} places; run it again\n`)
    break
  }
  const filtered = kept.map((one) => filteredAt(places[one.index]!, one))
  all.push(...filtered)
  rows.push(row(language, filtered))
  if (values.show) show(filtered)
  if (values.goldens) {
    mkdirSync(values.goldens, { recursive: true })
    writeFileSync(`${values.goldens}/${language}.golden`, formatGolden(goldensOf(language, places, kept)))
  }
}
await rooms.close()
process.stdout.write(
  `${[
    '| language | places | completions, filters off / on | repeat the suffix, off | on | exact, off | on | broken by filters |',
    '|---|---:|---:|---:|---:|---:|---:|---:|',
    ...rows,
    ...(rows.length > 1 ? [row('all', all)] : []),
  ].join('\n')}\n`,
)

async function writtenAt(places: readonly FilterPlace[], path: string): Promise<Kept[]> {
  const lines = existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : []
  const kept = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Kept)
  for (let index = kept.length; index < places.length && performance.now() < ends; index++) {
    const { text, offset, scope, file } = places[index]!
    const maxTokens = scope === 'line' ? maxLineTokens : maxBlockTokens
    const request = { text, offset, scope, maxTokens, languageId: file.languageId, certainty: askedFor }
    const { ids, probabilities, finish } = await fillGap(rooms, request, new AbortController().signal)
    const one: Kept = {
      index,
      written: rooms.model.decode(ids),
      sure: rooms.model.decode(sureRun({ ids, probabilities }, showAbove)),
      complete: finish === 'ended',
    }
    kept.push(one)
    appendFileSync(path, `${JSON.stringify(one)}\n`)
  }
  return kept.slice(0, places.length)
}

function filteredAt(place: FilterPlace, { written, complete }: Kept): Filtered {
  const plan = planOf(place)
  const raw = written.startsWith(plan.held[0]!) ? written.slice(plan.held[0]!.length) : ''
  const [finished] = finishHoles(plan, [{ text: written, scope: place.scope, complete }], place.file.languageId)
  return {
    place,
    raw: place.scope === 'line' ? raw.split('\n', 1)[0]! : raw,
    finished: finished!.kind === 'text' ? finished! : undefined,
  }
}

/** Every other case is a text that was cut short where it became unsure. */
function goldensOf(language: string, places: readonly FilterPlace[], kept: readonly Kept[]): GoldenCase[] {
  const wanted = Number(values['golden-cases'])
  const drawn: GoldenCase[] = []
  const cut: GoldenCase[] = []
  let tooShort = 0
  for (const { index, written, sure, complete } of kept) {
    const place = places[index]!
    const plan = planOf(place)
    const isCut = index % 8 >= 4 && sure !== written
    const text = (isCut ? sure : written).slice(plan.held[0]!.length)
    if (!written.startsWith(plan.held[0]!) || text === '') continue
    const context: FinishContext = {
      before: plan.pieces[0]!,
      after: plan.pieces[1]!,
      scope: place.scope,
      complete: complete && !isCut,
      languageId: place.file.languageId,
    }
    const golden = goldenCase({ place, index, text, complete: context.complete }, context)
    if (!golden) tooShort++
    else if (drawn.length < wanted / 2) drawn.push(golden)
    else if (
      filteredAt(place, { index, written: isCut ? sure : written, sure, complete: context.complete }).finished?.text !==
      text
    )
      cut.push(golden)
  }
  process.stderr.write(`${language}: ${tooShort} texts need more than a few lines around them, or are empty\n`)
  return [...drawn, ...cut.slice(0, wanted - drawn.length)]
}

function planOf({ text, offset }: FilterPlace) {
  return planHoles(text, [{ start: offset, end: offset }], rooms.model)
}

function row(name: string, filtered: readonly Filtered[]): string {
  const rates = ratesOf(filtered)
  const { places, off, on, duplicatesOff, duplicatesOn, byKindOff, byKindOn, exactOff, exactOn, broken } = rates
  const share = (count: number, of: number, kinds: object) =>
    `${rounded((100 * count) / of)} % (${Object.entries(kinds)
      .map(([kind, n]) => `${n} ${kind}`)
      .join(', ')})`
  const duplicates = `${share(duplicatesOff, off, byKindOff)} | ${share(duplicatesOn, on, byKindOn)}`
  return `| ${name} | ${places} | ${off} / ${on} | ${duplicates} | ${exactOff} | ${exactOn} | ${broken} |`
}

function show(filtered: readonly Filtered[]): void {
  for (const one of filtered) {
    const { place, raw, finished } = one
    const rates = ratesOf([one])
    if (rates.duplicatesOn === 0 && rates.broken === 0) continue
    const { text, offset, truth } = place
    const before = text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset)
    process.stdout.write(
      `${rates.broken ? 'broken   ' : 'duplicate'} ${place.kind} ${JSON.stringify(before)} ║ ${JSON.stringify(text.slice(offset, offset + 60))}\n` +
        `   wrote ${JSON.stringify(raw)}\n   shown ${JSON.stringify(finished)}\n   truth ${JSON.stringify(truth)}\n`,
    )
  }
}

function readFiles(paths: readonly string[]): SourceFile[] {
  const lines = paths.flatMap((path) => readFileSync(path, 'utf8').trimEnd().split('\n'))
  return lines.map((line) => {
    const { language, package: name, path, text } = JSON.parse(line) as Record<string, string>
    return { languageId: languageIds[language!] ?? language!, package: name!, path: path!, text: text! }
  })
}
