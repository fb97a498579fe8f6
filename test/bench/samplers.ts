/**
 * `npm run bench:samplers -- --help`
 *
 * Latency and exact lines against steps, for every sampler and for how canvases are written by default: rests of lines of real files
 * (default: our own sources), each place read once and filled under every setting, everything filled and shown. With `--record` each place is appended to
 * FILE as a line of JSON and not measured again, so that a long run may be cut by `--seconds` and goes on later.
 *
 * `--svg` writes the plot, `--readme` the table of README.md (of the folder it is run in).
 *
 * Times are of denoising alone: what reading the text costs is the same for all. An exact line is the same text as stood there.
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { openRooms } from '../../server/cli/openRooms.ts'
import { type Denoised, type DenoiseRequest, Denoiser, type OnStep } from '../../server/denoise/denoiser.ts'
import { resolveModel } from '../../server/model/store.ts'
import { fillGap, type Rooms } from '../../server/session/fillGap.ts'
import { askedFor } from '../../server/session/gaps.ts'
import type { GapCase } from './gapCases.ts'
import { commandLine } from './options.ts'
import { gapsOf } from './ownGaps.ts'
import { plotSvg } from './plot.ts'
import { asText, intoReadme, type Place, plotOf, type Result, rowOf } from './samplerReport.ts'
import { type Setting, samplerSettings } from './samplerSettings.ts'
import { rounded, seededRandom } from './stats.ts'

const help = `npm run bench:samplers -- [options]
  --folder DIR        places in the files of DIR (default: our own sources)
  --cases N           of each language (default 20)
  --seed N            of the places (default 3)
  --slots N           of a canvas (default: the model's)
  --record FILE       appends each place to FILE, and does not measure again what it has
  --seconds N         then no further place is begun (default: no limit)
  --svg FILE          writes the plot
  --readme            writes the table of README.md, of the folder it is run in
  --json              one object
`
const { values: options } = commandLine(help, {
  options: {
    folder: { type: 'string' },
    cases: { type: 'string', default: '20' }, // of each language
    seed: { type: 'string', default: '3' },
    slots: { type: 'string' },
    record: { type: 'string' },
    seconds: { type: 'string', default: 'Infinity' },
    svg: { type: 'string' },
    readme: { type: 'boolean' },
    json: { type: 'boolean' },
  },
})

/** Fills what it is asked under the setting in force, whatever the request says. */
class SettingsDenoiser extends Denoiser {
  setting: Setting | undefined

  override denoise(request: DenoiseRequest, signal: AbortSignal, onStep?: OnStep): Promise<Denoised> {
    const { schedule = request.schedule, hears } = this.setting ?? {}
    const holes = hears === false ? request.holes.map(({ recall: _, ...hole }) => hole) : request.holes
    return super.denoise({ ...request, schedule, holes }, signal, onStep)
  }
}

const open = new AbortController().signal
const maxTokens = 24

const began = performance.now()
const places = await measureAll()
const table = samplerSettings.map((setting) => rowOf(setting, places))
const title = `Samplers on ${places.length} gaps: rest of the line, canvas of ${options.slots ?? 8} slots`
if (options.svg) writeFileSync(options.svg, plotSvg(plotOf(title, table)))
if (options.readme) writeFileSync('README.md', intoReadme(readFileSync('README.md', 'utf8'), table))
if (options.json) process.stdout.write(`${JSON.stringify({ places: places.length, table })}\n`)
else process.stdout.write(asText(table))

async function measureAll(): Promise<Place[]> {
  const { record } = options
  const cases = gapsOf(options.folder, Number(options.cases), Number(options.seed))
  const recorded = record && existsSync(record) ? readFileSync(record, 'utf8').split('\n').filter(Boolean) : []
  const known = new Map(recorded.map((line): Place => JSON.parse(line)).map((place) => [place.place, place]))
  const places = cases.flatMap((one) => known.get(nameOf(one)) ?? [])
  const wanted = cases.filter((one) => !known.has(nameOf(one)))
  if (wanted.length === 0) return places
  const canvas = options.slots ? { canvasSlots: Number(options.slots) } : {}
  const rooms = await openRooms(await resolveModel(), { cache: true, ...canvas })
  const denoiser = new SettingsDenoiser(rooms.engine)
  const random = seededRandom(1)
  for (const one of wanted) {
    if ((performance.now() - began) / 1000 > Number(options.seconds)) break
    const place = {
      place: nameOf(one),
      results: await measure({ ...rooms, denoiser, canvases: undefined }, one, random),
    }
    places.push(place)
    if (record) appendFileSync(record, `${JSON.stringify(place)}\n`)
  }
  await rooms.close()
  process.stderr.write(`${places.length} of ${cases.length} places measured\n`)
  return places
}

/** In an order of its own for each place, so that what drifts hits all settings alike. */
async function measure(
  rooms: Rooms & { denoiser: SettingsDenoiser },
  { text, offset, truth, languageId }: GapCase,
  random: () => number,
): Promise<Record<string, Result>> {
  const results: Record<string, Result> = {}
  const request = { text, offset, languageId, scope: 'line' as const, maxTokens, certainty: askedFor }
  const seeingEachOther = { ...rooms, model: { ...rooms.model, drafting: undefined } }
  rooms.denoiser.setting = undefined
  for (const warming of [rooms, seeingEachOther]) await fillGap(warming, request, open) // reads the text
  const order = samplerSettings.map((setting) => ({ setting, at: random() })).sort((a, b) => a.at - b.at)
  for (const { setting } of order) {
    rooms.denoiser.setting = setting
    const filled = await fillGap(setting.schedule ? seeingEachOther : rooms, request, open)
    results[setting.name] = {
      ms: rounded(filled.ms.denoise),
      steps: filled.steps,
      tokens: filled.tokens,
      exact: filled.kind === 'completion' && filled.edit.text === truth,
    }
  }
  return results
}

function nameOf({ path, offset }: GapCase): string {
  return `${path}:${offset}${options.slots ? `, ${options.slots} slots` : ''}`
}
