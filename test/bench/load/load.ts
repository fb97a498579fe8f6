/**
 * Many editors typing against one server of the Open Inference Protocol on this machine: whether it holds, how long answers
 * take, how full its batches are, and what a restart in the middle does to those who ask.
 */
import { spawn } from 'node:child_process'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { isLoopback } from '../../../server/base/remote.ts'
import { resolveModel } from '../../../server/model/store.ts'
import { commandLine, fail, settingsOf } from '../options.ts'
import { rounded } from '../stats.ts'
import { table } from '../table.ts'
import { allSources, digestOf } from '../typing/sources.ts'
import { type Asked, WatchedEditor } from './asked.ts'
import { loadFigures } from './loadFigures.ts'
import { openEditors } from './openEditors.ts'
import { type Outage, outageFigures } from './outage.ts'
import { replay } from './replay.ts'
import { readMetrics, ServerFigures } from './serverFigures.ts'

const help = `node dist/benchLoad.js --engine http://127.0.0.1:PORT [options]
  --engine URL        the server, on this machine (serving/README.md)
  --editors N         each with a session and files of its own (default 200, at most 1000)
  --seconds N         of typing (default 120, at most 3600)
  --slow X            people who type X times slower (default 1)
  --ramp N            they begin one after the other, within N seconds (default a tenth of the time)
  --patience N        seconds that who still waits at the end may have to wait (default 300, at most 3600)
  --else WHAT         what answers while the server is gone: nothing (default) or local (one engine for all)
  --contract WHAT     auto (default): gaps are filled whole where the server offers it; steps: pass after pass
  --restart CMD       a shell command that stops the server and starts it again, run in the middle
  --model DIR         a bundle, by folder or name (default: as the server takes it)
  --settings JSON     of all editors (default {"inlineBudgetMs":60000}: each waits for its answer)
  --folder DIR        types the files of DIR (default: this repository's)
  --seed N            of files, places, slips and intervals (default 7)
  --json              one object
`

const { values } = commandLine(help, {
  options: {
    engine: { type: 'string' },
    editors: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '120' },
    slow: { type: 'string', default: '1' },
    ramp: { type: 'string' },
    patience: { type: 'string', default: '300' },
    else: { type: 'string', default: 'nothing' },
    contract: { type: 'string', default: 'auto' },
    restart: { type: 'string' },
    model: { type: 'string' },
    settings: { type: 'string', default: '{"inlineBudgetMs":60000}' },
    folder: { type: 'string' },
    seed: { type: 'string', default: '7' },
    json: { type: 'boolean' },
  },
})
const address = addressOf(values.engine)
const [count, seconds, seed] = [number('editors', 1, 1000), number('seconds', 1, 3600), number('seed', 0, 1e9)]
const slow = number('slow', 0.1, 10_000)
const patience = number('patience', 0, 3600)
const ramp = values.ramp === undefined ? seconds / 10 : number('ramp', 0, seconds)
if (values.else !== 'nothing' && values.else !== 'local') fail(`--else ${values.else}: there are nothing and local`)
const contract = values.contract
if (contract !== 'auto' && contract !== 'steps') fail(`--contract ${contract}: there are auto and steps`)
/** Of ghost text, by default. */
const budgetMs = 500
const [sampledMs, toldMs] = [500, 10_000]

// Runs from the build folder.
const root = fileURLToPath(new URL('../', import.meta.url))
const sources = allSources(root, values.folder)
if (sources.length === 0) fail(`no file with enough lines in ${values.folder ?? root}`)
const dir = await resolveModel(values.model)
const changes = { gone: 0, back: 0 }
const editors = await openEditors(count, {
  ...{ dir, address: address.href, standIn: values.else === 'local', contract, settings: settingsOf(values.settings) },
  onChange: (sentence) => void changes[sentence.endsWith(': it is back') ? 'back' : 'gone']++,
})
const began = performance.now()
const now = () => performance.now() - began
const watched = editors.all.map(({ session, passes }, i) => ({ watched: new WatchedEditor(session, i, now), passes }))
const server = new ServerFigures()
let outage: Outage | undefined
const heap: number[] = []

const sampling = setInterval(() => void sample(), sampledMs)
const telling = setInterval(tell, toldMs)
const restarting = values.restart === undefined ? undefined : setTimeout(restart, 500 * seconds, values.restart)
const { keys, waitingForGood } = await replay(watched, sources, { seconds, slow, ramp, seed, patience })
for (const timer of [sampling, telling, restarting]) clearTimeout(timer)
await sample()
const ran = now() / 1000
const asked = watched.flatMap(({ watched }) => watched.asked)
const passes = editors.all.reduce((sum, { passes }) => sum + passes.steps, 0)
const byModel = Math.max(1, asked.filter((one) => one.byModel).length)
await editors.close()

const figures = {
  machine: `${cpus()[0]?.model.trim()}, ${availableParallelism()} threads, load ${rounded(loadavg()[0]!)}`,
  editors: count,
  ...{ seconds: rounded(ran), slow, ramp, seed, files: digestOf(sources), else: values.else, contract },
  asked: loadFigures(asked, keys, ran, budgetMs),
  steps_a_request_of_the_model: rounded(passes / byModel, 2),
  whole_gaps_a_request_of_the_model: rounded(editors.gaps() / byModel, 2),
  server: server.figures(ran),
  ...(outage ? { restart: outageFigures(asked, outage) } : {}),
  told: changes,
  editors_without_their_last_answer: waitingForGood,
  client_heap_mb: heap.map((bytes) => rounded(bytes / 1e6, 0)),
}
process.stdout.write(values.json ? `${JSON.stringify(figures)}\n` : table(figures))

/** What the server says of itself; also how it is known to be back. */
async function sample(): Promise<void> {
  try {
    const answer = await fetch(new URL('/metrics', address), { signal: AbortSignal.timeout(5_000) })
    server.take(readMetrics(await answer.text()))
    if (outage && outage.backMs === undefined && now() - outage.beganMs > 2_000) outage = { ...outage, backMs: now() }
  } catch (error) {
    // Only while it is gone, or too busy to say: the next reading has it all.
    if (!(error instanceof TypeError || error instanceof DOMException)) throw error
  }
}

function restart(command: string): void {
  process.stderr.write(`${rounded(now() / 1000)} s: ${command}\n`)
  outage = { beganMs: now(), backMs: undefined }
  spawn('sh', ['-c', command], { stdio: 'ignore', detached: true }).unref()
}

function tell(): void {
  const all: Asked[] = watched.flatMap(({ watched }) => watched.asked)
  const of = (outcome: Asked['outcome']) => all.filter((one) => one.outcome === outcome).length
  const inHand = watched.reduce((sum, { watched }) => sum + watched.inHand, 0)
  const ended = `${of('offer')} shown, ${of('nothing')} nothing, ${of('superseded')} superseded, ${of('failed')} failed`
  process.stderr.write(`${rounded(now() / 1000, 0)} s: ${all.length + inHand} requests, ${ended}, ${inHand} in hand\n`)
  heap.push(process.memoryUsage().heapUsed)
}

function addressOf(given: string | undefined): URL {
  if (given === undefined || !URL.canParse(given)) fail(`--engine ${given ?? ''}: wanted an address; see --help`)
  const url = new URL(given)
  if (!isLoopback(url)) fail(`--engine ${given}: load is made on this machine alone`)
  return url
}

function number(
  name: 'editors' | 'seconds' | 'seed' | 'slow' | 'ramp' | 'patience',
  least: number,
  most: number,
): number {
  const value = Number(values[name])
  const fits = name === 'slow' || name === 'ramp' || Number.isInteger(value)
  if (!fits || !(value >= least && value <= most))
    fail(`--${name} ${values[name]}: wanted a number from ${least} to ${most}`)
  return value
}
