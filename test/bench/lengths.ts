/**
 * Ways to find the length of a line, on the same places: end rules, canvas sizes, `search`; and thresholds of the schedule.
 * `node dist/lengths.js OUT FOLDER` appends a JSON line for each place to OUT and goes on where it ended; `--print` shows the
 * table of OUT. The default model has no expand token, so `expand-delete` is not among them. Hopeless lines are given up, for they take most of the time: no length is known of them.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { type OpenRooms, openRooms } from '../../server/cli/openRooms.ts'
import { type Denoised, type DenoiseRequest, Denoiser, type OnStep } from '../../server/denoise/denoiser.ts'
import type { EarlyEnd } from '../../server/denoise/earlyEnd.ts'
import type { Length } from '../../server/denoise/length.ts'
import type { Engine } from '../../server/engine/engine.ts'
import { planGap } from '../../server/infill/plan.ts'
import { resolveModel } from '../../server/model/store.ts'
import { fillGap, type Rooms } from '../../server/session/fillGap.ts'
import type { SessionModel } from '../../server/session/sessionModel.ts'
import { drawGaps, type GapCase } from './gapCases.ts'
import { commandLine } from './options.ts'

interface Way {
  readonly drafted?: boolean // written from the left, as the default model was taught; otherwise all rows of a canvas see each other
  readonly model?: Partial<SessionModel>
  readonly length?: () => Length // in place of the model's
}

const early = (rule: EarlyEnd['rule']): Way => ({
  length: () => ({ kind: 'early-end', slots: 8, rule }),
})

/** The first canvas is small, those after it larger: a hole reads the size anew for each. */
function growing(sizes: readonly number[]): Way {
  return {
    length: () => {
      let opened = -1 // the check of the request reads it too
      return {
        kind: 'end-token',
        get slots() {
          return sizes[Math.max(0, Math.min(opened++, sizes.length - 1))]!
        },
      }
    },
  }
}

const ways: Readonly<Record<string, Way>> = {
  'drafted (the default)': { drafted: true },
  'last 8': {},
  'anywhere 8': early({ kind: 'anywhere' }),
  'from-right 8, 0.9': early({ kind: 'from-right', sure: 0.9 }),
  'from-right 8, 0.5': early({ kind: 'from-right', sure: 0.5 }),
  'last 16': { model: { canvasSlots: 16 } },
  'last 24': { model: { canvasSlots: 24 } },
  'last 8, then 16, 24': growing([8, 16, 24]),
  search: { model: { lengthMode: 'search' } },
  'last 8, threshold 0.8': { model: { threshold: 0.8 } },
  'last 8, threshold 0.7': { model: { threshold: 0.7 } },
}

/** Finds each length in this way, whatever the request says. */
class WithLength extends Denoiser {
  private readonly length: Length

  constructor(engine: Engine, length: Length) {
    super(engine)
    this.length = length
  }

  override denoise(request: DenoiseRequest, signal: AbortSignal, onStep?: OnStep): Promise<Denoised> {
    const holes = request.holes.map((hole) => ({ ...hole, length: this.length }))
    return super.denoise({ ...request, holes }, signal, onStep)
  }
}

interface Outcome {
  readonly exact: boolean
  readonly begins: boolean // something is shown, and right as far as it goes
  readonly shown: string
  readonly tokens: number
  readonly finish: string
  readonly steps: number
  readonly rows: number
  readonly ms: number
}

interface Place {
  readonly truth: string
  readonly truthTokens: number
  readonly ways: Readonly<Record<string, Outcome>>
}

const help = `node dist/lengths.js [options] OUT FOLDER, or --print OUT
  --perLanguage N     places (default 60)
  --seed N            of the places (default 6)
  --floor P           a line is given up below this (default 0.01)
  --without WAY       not this one; search takes as long as all others
  --threads N         default 2
  --seconds N         then it stops; run it again to go on (default 200)
  --print             the table of OUT
`
const { values, positionals } = commandLine(help, {
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '200' },
    perLanguage: { type: 'string', default: '60' },
    seed: { type: 'string', default: '6' },
    threads: { type: 'string', default: '2' },
    floor: { type: 'string', default: '0.01' },
    without: { type: 'string' },
    print: { type: 'boolean' },
  },
})
const [out, folder] = positionals as [string, string]
if (values.print) print(read(out))
else await measureAll()

async function measureAll(): Promise<void> {
  const began = performance.now()
  const rooms = await openRooms(await resolveModel(), { cache: true, threads: Number(values.threads) })
  const drawn = drawGaps(folder, Number(values.perLanguage), Number(values.seed))
  const cases = drawn.map((_, i) => drawn[(i % 3) * (drawn.length / 3) + Math.floor(i / 3)]!)
  for (const gap of cases.slice(existsSync(out) ? read(out).length : 0)) {
    if (performance.now() - began > 1000 * Number(values.seconds)) break
    appendFileSync(out, `${JSON.stringify(await measure(rooms, gap))}\n`)
  }
  await rooms.close()
}

async function measure(rooms: OpenRooms, { text, offset, languageId, truth }: GapCase): Promise<Place> {
  const { held } = planGap(text, offset, rooms.model)
  const outcomes: Record<string, Outcome> = {}
  for (const [name, { drafted, model, length }] of Object.entries(ways)) {
    if (values.without === name) continue
    const withWay: Rooms = {
      ...rooms,
      ...(drafted ? {} : { canvases: undefined }),
      model: { ...rooms.model, ...(drafted ? {} : { drafting: undefined }), ...model },
      denoiser: length ? new WithLength(rooms.engine, length()) : rooms.denoiser,
    }
    const certainty = { giveUp: Number(values.floor), show: 0 }
    const request = { text, offset, scope: 'line' as const, maxTokens: 48, languageId, certainty }
    const filled = await fillGap(withWay, request, new AbortController().signal)
    const shown = filled.kind === 'completion' ? filled.edit.text : ''
    const { tokens, finish, steps, rows, ms } = filled
    const begins = shown !== '' && truth.startsWith(shown)
    outcomes[name] = { exact: shown === truth, begins, shown, tokens, finish, steps, rows, ms: Math.round(ms.denoise) }
  }
  return { truth, truthTokens: rooms.model.encode(held + truth).length, ways: outcomes }
}

function read(path: string): Place[] {
  return readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Place)
}

function print(places: readonly Place[]): void {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  process.stdout.write(`${places.length} places; truth ${mean(places.map((p) => p.truthTokens)).toFixed(1)} tokens\n`)
  for (const name of Object.keys(ways)) {
    const asked = places.filter(({ ways }) => ways[name])
    const of = asked.map(({ ways }) => ways[name]!)
    const lengthErrors = asked.flatMap(({ ways, truthTokens }) => {
      const { finish, tokens } = ways[name]!
      return finish === 'ended' ? [tokens - truthTokens] : []
    })
    const figures = [
      `${of.length} places`,
      `exact ${((100 * of.filter(({ exact }) => exact).length) / of.length).toFixed(1)} %`,
      `begins right ${((100 * of.filter(({ begins }) => begins).length) / of.length).toFixed(1)} %`,
      `length off by ${mean(lengthErrors.map(Math.abs)).toFixed(2)}, on average ${mean(lengthErrors).toFixed(2)}`,
      `length right ${((100 * lengthErrors.filter((error) => error === 0).length) / lengthErrors.length).toFixed(1)} % of ${lengthErrors.length} ended`,
      `steps ${mean(of.map(({ steps }) => steps)).toFixed(1)}`,
      `rows ${mean(of.map(({ rows }) => rows)).toFixed(0)}`,
      `ms ${mean(of.map(({ ms }) => ms)).toFixed(0)}`,
    ]
    process.stdout.write(`${name.padEnd(24)}${figures.join(' · ')}\n`)
  }
}
