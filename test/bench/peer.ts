/**
 * `npm run bench:peer -- --help`
 *
 * Against the strongest peer: llama.cpp's `llama-server` with the weights our model is made of (SmolLM2-135M-Instruct, Q4_1
 * as published), its prompt cache on, as many threads as ours. `test/bench/getPeer.sh FOLDER` fetches both and prints the
 * command; without them this says so and ends with 0. Further `--model`s are other forms of the same weights.
 *
 * What is compared, at places in real files (default: our own sources): both have read everything up to the word before
 * the cursor; that word arrives; both complete. Ours fills the rest of the line, everything to its end (n tokens, at least
 * 1, at most 24); the peer then predicts exactly n tokens, the likeliest each time. In turn at each place, ours around the
 * whole request (planning, tokenizing, encoding, denoising), the peer's around its HTTP request; its own clock's sum stands
 * beside it, since a request to another process is not its fault. Both begin from the same token ids.
 *
 * What is not: quality. The tokens differ. Ours sees the code behind the cursor (64 tokens), the peer does not: its weights
 * know no tokens for filling in, so `/infill` is impossible. A figure with the same tokens put before the prefix is given
 * too ("suffix first"): as much text in sight, but in an order no model was trained on. Ours also finds where the line
 * ends; the peer is stopped for free.
 *
 * The peer's threads wait for each other by spinning: beside another busy process it loses tens of times its time, ours
 * less. So the machine must be idle; `others_busy` is the share of all cores that was taken in pauses, and figures with more
 * than a few per cent are worth nothing.
 *
 * A step: 9 rows over 448 of context. Ours as one denoising step, the peer reading 9 tokens as a batch behind 448 in its cache.
 */
import { accessSync, constants, existsSync } from 'node:fs'
import { cpus } from 'node:os'
import { basename, delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type OpenRooms, openRooms } from '../../server/cli/openRooms.ts'
import { defaultThreads } from '../../server/engine/onnx/onnxEngine.ts'
import { planGap } from '../../server/infill/plan.ts'
import { resolveModel } from '../../server/model/store.ts'
import { fillGap } from '../../server/session/fillGap.ts'
import { askedFor } from '../../server/session/gaps.ts'
import type { GapCase } from './gapCases.ts'
import { LlamaServer } from './llamaServer.ts'
import { commandLine } from './options.ts'
import { gapsOf } from './ownGaps.ts'
import { median, rounded } from './stats.ts'

const help = `npm run bench:peer -- [options]
  --server PROGRAM    llama-server (default: the one on PATH)
  --model GGUF        its weights; again for other forms of them
  --folder DIR        places in the files of DIR (default: our own sources)
  --places N          of each language (default 16)
  --seed N            of the places (default 3)
  --seconds N         then no further place is begun (default: no limit)
  --json              one object
`
const { values: options } = commandLine(help, {
  options: {
    server: { type: 'string' },
    model: { type: 'string', multiple: true, default: [] },
    folder: { type: 'string' },
    places: { type: 'string', default: '16' }, // of each language
    seed: { type: 'string', default: '3' },
    seconds: { type: 'string', default: 'Infinity' },
    json: { type: 'boolean' },
  },
})

const open = new AbortController().signal
const [maxTokens, stepRows, stepContext, stepRounds] = [24, 9, 448, 15]

/** One place, times in milliseconds. */
interface Place {
  readonly tokens: number
  readonly steps: number
  readonly encodedRows: number
  readonly ours: number
  readonly peers: readonly Peer[] // in the order of the models
  readonly othersBusy: number // share of all cores, while neither worked
}

interface Peer {
  readonly wall: number
  readonly own: number
  readonly read: number // tokens
  readonly suffixFirst: number // wall
}

// A signal ends by way of `exit`, which takes the servers along.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

const program = findProgram(options.server ?? 'llama-server')
const missing = options.model.filter((model) => !existsSync(model))
if (!program) skip(`${options.server ?? 'llama-server'} is not there`)
else if (options.model.length === 0) skip('no GGUF is named (--model)')
else if (missing.length > 0) skip(`${missing.join(', ')}: no such file`)
else await compare(program, options.model)

function skip(reason: string): void {
  process.stdout.write(
    `skipped: ${reason}; "test/bench/getPeer.sh FOLDER" fetches llama-server and the weights, and prints the command\n`,
  )
}

function findProgram(name: string): string | undefined {
  const paths = name.includes('/') ? [name] : (process.env.PATH ?? '').split(delimiter).map((dir) => join(dir, name))
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false // not there, or no program: the next one
    }
  })
}

async function compare(program: string, models: readonly string[]): Promise<void> {
  const threads = defaultThreads()
  const cases = gapsOf(options.folder, Number(options.places), Number(options.seed))
  const rooms = await openRooms(await resolveModel(), { cache: true, threads })
  const servers: LlamaServer[] = []
  try {
    for (const model of models) servers.push(await LlamaServer.start(program, model, threads))
    await warmUp(rooms, servers)
    const places: Place[] = []
    const began = performance.now()
    for (const [turn, one] of cases.entries()) {
      if ((performance.now() - began) / 1000 > Number(options.seconds)) break
      const place = await complete(rooms, servers, one, turn)
      if (place) places.push(place)
      process.stderr.write(`\r${places.length} places `)
    }
    const names = models.map((model) => basename(model, '.gguf').split('.').at(-1)!)
    const figures = {
      threads,
      places: places.length,
      others_busy: rounded(places.reduce((sum, place) => sum + place.othersBusy, 0) / places.length, 2),
      same_tokenization: await sameTokens(rooms, servers[0]!, cases),
      completion: Object.fromEntries(names.map((name, i) => [name, figuresOf(places, i)])),
      step: await stepFigures(rooms, servers, names),
    }
    process.stdout.write(options.json ? `${JSON.stringify(figures)}\n` : `${JSON.stringify(figures, null, 2)}\n`)
  } finally {
    for (const server of servers) await server.stop()
    await rooms.close()
  }
}

/** How much of all cores is taken over that time, 0 to 1. */
async function busyShare(ms: number): Promise<number> {
  const read = () =>
    cpus().reduce(
      ({ busy, all }, { times }) => {
        const spent = times.user + times.nice + times.sys + times.irq
        return { busy: busy + spent, all: all + spent + times.idle }
      },
      { busy: 0, all: 0 },
    )
  const before = read()
  await sleep(ms)
  const after = read()
  return (after.busy - before.busy) / Math.max(1, after.all - before.all)
}

/** One completion of each that is not counted. */
async function warmUp(rooms: OpenRooms, servers: readonly LlamaServer[]): Promise<void> {
  const request = { text: 'a = 1\nb = \n', offset: 10, scope: 'line' as const, maxTokens: 4, certainty: askedFor }
  await fillGap(rooms, request, open)
  for (const server of servers) await server.complete(rooms.model.encode(request.text), 4)
}

/** @returns nothing where no word stands before the cursor. */
async function complete(
  rooms: OpenRooms,
  servers: readonly LlamaServer[],
  { text, offset, languageId }: GapCase,
  turn: number,
): Promise<Place | undefined> {
  const word = /(\w+|[^\w\s])[^\S\n]*$/.exec(text.slice(Math.max(0, offset - 80), offset))
  if (!word) return undefined
  const from = offset - word[0].length
  const request = { text, offset, languageId, scope: 'line' as const, maxTokens, certainty: askedFor }
  const earlier = { ...request, text: text.slice(0, from) + text.slice(offset), offset: from, maxTokens: 1 }
  const before = planGap(earlier.text, earlier.offset, rooms.model)
  const now = planGap(text, offset, rooms.model)

  // 1. Both have read the text up to the word.
  await fillGap(rooms, earlier, open)
  for (const server of servers) await server.complete(before.prefixIds, 0)
  await sleep(100) // nobody's threads spin any more
  const othersBusy = await busyShare(200)

  // 2. The word is there. Ours says how many tokens it is about, so it is the first; the peers take turns.
  const began = performance.now()
  const filled = await fillGap(rooms, request, open)
  const ours = performance.now() - began
  const tokens = Math.max(1, filled.tokens)
  const peers: Peer[] = []
  const order = servers.map((_, i) => (i + turn) % servers.length)
  for (const i of order) {
    await sleep(50)
    const { wallMs, ownMs, readTokens } = await servers[i]!.complete(now.prefixIds, tokens)
    peers[i] = { wall: wallMs, own: ownMs, read: readTokens, suffixFirst: Number.NaN }
  }

  // 3. The same with what follows the cursor in the peer's sight.
  for (const i of order) {
    await servers[i]!.complete([...now.suffixIds, ...before.prefixIds], 0)
    await sleep(50)
    const { wallMs } = await servers[i]!.complete([...now.suffixIds, ...now.prefixIds], tokens)
    peers[i] = { ...peers[i]!, suffixFirst: wallMs }
  }
  return { tokens, steps: filled.steps, encodedRows: filled.encodedRows, ours, peers, othersBusy }
}

function figuresOf(places: readonly Place[], i: number) {
  const bins = [
    [1, 2],
    [3, 5],
    [6, 10],
    [11, maxTokens],
  ] as const
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0)
  const of = (some: readonly Place[]) => {
    const [ours, wall] = [some.map((place) => place.ours), some.map(({ peers }) => peers[i]!.wall)]
    const ratios = (of: (peer: Peer) => number) =>
      rounded(median(some.map(({ ours, peers }) => ours / of(peers[i]!))), 2)
    return {
      places: some.length,
      tokens_p50: median(some.map(({ tokens }) => tokens)),
      steps_p50: median(some.map(({ steps }) => steps)),
      ours_p50_ms: rounded(median(ours)),
      peer_p50_ms: rounded(median(wall)),
      ours_over_peer_p50: ratios(({ wall }) => wall),
      ours_over_peer_sums: rounded(sum(ours) / sum(wall), 2),
      ours_over_its_own_clock_p50: ratios(({ own }) => own),
      ours_over_suffix_first_p50: ratios(({ suffixFirst }) => suffixFirst),
      ours_ms_a_token_p50: rounded(median(some.map(({ ours, tokens }) => ours / tokens))),
      peer_ms_a_token_p50: rounded(median(some.map(({ peers, tokens }) => peers[i]!.wall / tokens))),
    }
  }
  const read = places.map(({ peers }) => peers[i]!.read)
  return {
    all: of(places),
    read_anew_p50: { ours: median(places.map(({ encodedRows }) => encodedRows)), peer: median(read) },
    by_tokens: Object.fromEntries(
      bins.flatMap(([from, to]) => {
        const some = places.filter(({ tokens }) => tokens >= from && tokens <= to)
        return some.length > 0 ? [[`${from}-${to}`, of(some)] as const] : []
      }),
    ),
  }
}

/** Share of the places whose text before the cursor the peer cuts into the very tokens that ours does. */
async function sameTokens({ model }: OpenRooms, server: LlamaServer, cases: readonly GapCase[]): Promise<number> {
  let same = 0
  for (const { text, offset } of cases) {
    const { before, held } = planGap(text, offset, model)
    const read = before.slice(0, before.length - held.length)
    const theirs = await server.tokenize(read)
    if (theirs.join() === model.encode(read).join()) same++
  }
  return rounded(same / cases.length, 3)
}

async function stepFigures({ engine, model }: OpenRooms, servers: readonly LlamaServer[], names: readonly string[]) {
  const contextIds = Array.from({ length: stepContext }, (_, i) => 100 + i)
  const [encoding] = await engine.encode([{ ids: contextIds }], open)
  const ours: number[] = []
  const peers = servers.map((): number[] => [])
  for (const server of servers) await server.complete(contextIds, 0)
  for (let round = 0; round < stepRounds; round++) {
    await sleep(50)
    const began = performance.now()
    await engine.step(
      [
        {
          ids: [500, ...Array<number>(stepRows - 1).fill(model.maskId)],
          positions: Array.from({ length: stepRows }, (_, i) => stepContext + i),
          context: [{ id: encoding!.id, rows: stepContext, firstPosition: 0 }],
          asked: Array.from({ length: 4 }, (_, i) => stepContext + 1 + i),
          setIds: model.lineBreakIds,
        },
      ],
      open,
    )
    ours.push(performance.now() - began)
    for (const [i, server] of servers.entries()) {
      await sleep(50)
      // Other tokens each time, so that none of them is in the cache.
      const batch = Array.from({ length: stepRows }, (_, row) => 1000 + round * stepRows + row)
      const { readMs, readTokens } = await server.complete([...contextIds, ...batch], 0)
      if (readTokens !== stepRows) throw new Error(`llama-server read ${readTokens} tokens, not ${stepRows}`)
      peers[i]!.push(readMs)
    }
  }
  engine.release([encoding!.id])
  const oursMs = median(ours.slice(2))
  return {
    rows: stepRows,
    context: stepContext,
    ours_ms: rounded(oursMs),
    peers: Object.fromEntries(
      names.map((name, i) => {
        const peerMs = median(peers[i]!.slice(2))
        return [name, { batch_ms: rounded(peerMs), ours_over_peer: rounded(oursMs / peerMs, 2) }]
      }),
    ),
  }
}
