/** `npm run eval -- BENCHMARK`: how good the product is, by its own answers. `--help` tells the options. */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { availableParallelism, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { messageOf, UserError } from '../../server/base/errors.ts'
import { defaultSettings } from '../../server/config/settings.ts'
import { defaultThreads } from '../../server/engine/onnx/onnxEngine.ts'
import { table } from '../bench/table.ts'
import type { Answerer, Benchmark, Result } from './benchmark.ts'
import { heldOutFolder } from './benchmarks/restOfLine.ts'
import { type OpenAnswerers, openAnswerers, openBenchmark } from './open.ts'
import { help, type Options, readOptions } from './options.ts'
import { runInProcesses, serveTasks, type Task } from './processes.ts'
import { replay } from './replay.ts'
import { asText, report } from './report.ts'
import { ResultFile, type RunFacts } from './resultFile.ts'
import { inTurns, progress, resultOf } from './runCases.ts'

// Runs from the build folder.
const root = fileURLToPath(new URL('../', import.meta.url))
const folder = fileURLToPath(new URL('../test/eval/', import.meta.url))
const tell = (line: string) => void process.stderr.write(line)

try {
  const options = readOptions(process.argv.slice(2), process.env)
  if (!options) process.stdout.write(help)
  else if (options.isWorker) await work(options)
  else await evaluate(options)
} catch (error) {
  tell(`${messageOf(error)}\n`)
  if (process.env.LACUNA_TRACE) tell(`${(error as Error).stack}\n`)
  process.exit(error instanceof UserError ? 2 : 1)
}

async function work(options: Options): Promise<void> {
  const benchmark = await openBenchmark(options, folder)
  const open = await openAnswerers(options)
  await serveTasks(benchmark, open.answerers)
  await open.close()
}

async function evaluate(options: Options): Promise<void> {
  const benchmark = await openBenchmark(options, folder)
  const open = await openAnswerers(options)
  const facts = factsOf(benchmark, open.answerers, options.seed)
  const file = new ResultFile(options.out ?? defaultPath(benchmark, facts), facts, options.fresh)
  const began = performance.now()
  await answerAll(options, benchmark, open, file)
  const wanted = new Set(benchmark.cases.map(({ key }) => key))
  const told = report(
    file.results.filter((result) => wanted.has(result.case)),
    open.answerers.map(({ name }) => name),
  )
  const person = await replayed(options, open)
  if (options.processes === 1) await open.close()
  const run = {
    ...facts,
    machine: `${cpus()[0]?.model.trim()}, ${availableParallelism()} threads, node ${process.version}`,
    processes: options.processes,
    threads: threadsOf(options),
    code: codeOf(),
    seconds: Math.round((performance.now() - began) / 1000),
    results: file.path,
  }
  if (options.json) process.stdout.write(`${JSON.stringify({ run, ...told, ...(person ? { person } : {}) })}\n`)
  else process.stdout.write(`${table(run)}\n${asText(told)}${person ? `\n${table({ person })}` : ''}`)
}

/** What is not in the file yet; here, or in processes of their own, for which this one's model makes room. */
async function answerAll(options: Options, benchmark: Benchmark, open: OpenAnswerers, file: ResultFile): Promise<void> {
  const { answerers } = open
  const tasks = inTurns(benchmark.cases).flatMap(({ key }) =>
    answerers.map(({ name }): Task => ({ key, answerer: name })),
  )
  const left = tasks.filter(({ key, answerer }) => !file.has(key, answerer))
  if (left.length < tasks.length)
    tell(`${file.path}: ${tasks.length - left.length} of ${tasks.length} are there already\n`)
  const step = progress(benchmark.name, left.length, tell, () => performance.now())
  const keep = (result: Result) => {
    file.append(result)
    step()
  }
  if (options.processes > 1) {
    await open.close()
    const argv = [...process.argv.slice(2), '--threads', String(threadsOf(options))]
    return runInProcesses({ file: fileURLToPath(import.meta.url), argv, count: options.processes }, left, keep)
  }
  const gaps = new Map(benchmark.cases.map((gap) => [gap.key, gap]))
  for (const { key, answerer } of left)
    keep(await resultOf(benchmark, answerers.find(({ name }) => name === answerer)!, gaps.get(key)!))
}

/** Of each process: as the product has it for one alone, shared out among several. */
function threadsOf({ threads, processes }: Options): number {
  return threads ?? Math.max(1, Math.floor(defaultThreads() / processes))
}

async function replayed({ replay: characters, seed, showAbove, files }: Options, { rooms }: OpenAnswerers) {
  if (characters === undefined) return undefined
  const settings = { characters, seed, showAbove: showAbove ?? defaultSettings.showAbove }
  return replay(rooms!, heldOutFolder(files), settings, tell)
}

function factsOf(benchmark: Benchmark, answerers: readonly Answerer[], seed: number): RunFacts {
  return {
    benchmark: benchmark.name,
    ...benchmark.about,
    seed,
    answerers: Object.fromEntries(answerers.map(({ name, about }) => [name, about])),
  }
}

/** The same for the same run, so that a rerun goes on; answerers beside the first may come and go. */
function defaultPath({ name }: Benchmark, facts: RunFacts): string {
  const [first] = Object.entries(facts.answerers)
  const digest = createHash('sha256')
    .update(JSON.stringify({ ...facts, answerers: first }))
    .digest('hex')
    .slice(0, 8)
  return `eval-results/${name}-${digest}.jsonl`
}

/** Which code answered; for the record, where this is a checkout. */
function codeOf(): string {
  try {
    const args = ['-C', root, 'describe', '--always', '--dirty']
    return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch (error) {
    return `unknown (${messageOf(error).split('\n')[0]})`
  }
}
