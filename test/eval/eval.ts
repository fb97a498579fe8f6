/** `npm run eval -- BENCHMARK`: how good the product is, by its own answers. `--help` tells the options. */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { availableParallelism, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { messageOf, UserError } from '../../server/base/errors.ts'
import { defaultSettings } from '../../server/config/settings.ts'
import { table } from '../bench/table.ts'
import type { Answerer, Benchmark } from './benchmark.ts'
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
  const { answerers } = open
  const facts = factsOf(benchmark, answerers, options.seed)
  const file = new ResultFile(options.out ?? defaultPath(benchmark, facts), facts, options.fresh)
  const tasks = inTurns(benchmark.cases).flatMap(({ key }) =>
    answerers.map(({ name }): Task => ({ key, answerer: name })),
  )
  const left = tasks.filter(({ key, answerer }) => !file.has(key, answerer))
  if (left.length < tasks.length)
    tell(`${file.path}: ${tasks.length - left.length} of ${tasks.length} are there already\n`)
  const step = progress(benchmark.name, left.length, tell, () => performance.now())
  const began = performance.now()
  if (options.processes > 1) {
    await open.close()
    const work = { file: fileURLToPath(import.meta.url), argv: process.argv.slice(2), count: options.processes }
    await runInProcesses(work, left, (result) => {
      file.append(result)
      step()
    })
  } else {
    const gaps = new Map(benchmark.cases.map((gap) => [gap.key, gap]))
    for (const { key, answerer } of left) {
      file.append(await resultOf(benchmark, answerers.find(({ name }) => name === answerer)!, gaps.get(key)!))
      step()
    }
  }
  const wanted = new Set(benchmark.cases.map(({ key }) => key))
  const told = report(
    file.results.filter((result) => wanted.has(result.case)),
    answerers.map(({ name }) => name),
  )
  const person = await replayed(options, open)
  if (options.processes === 1) await open.close()
  const run = {
    ...facts,
    machine: `${cpus()[0]?.model.trim()}, ${availableParallelism()} threads, node ${process.version}`,
    processes: options.processes,
    code: codeOf(),
    seconds: Math.round((performance.now() - began) / 1000),
    results: file.path,
  }
  if (options.json) process.stdout.write(`${JSON.stringify({ run, ...told, ...(person ? { person } : {}) })}\n`)
  else process.stdout.write(`${table(run)}\n${asText(told)}${person ? `\n${table({ person })}` : ''}`)
}

/** Without another process beside it: a person's time is measured. */
async function replayed(options: Options, { rooms }: OpenAnswerers) {
  if (options.replay === undefined) return undefined
  if (options.processes > 1 || !rooms) throw new UserError('--replay takes one process, and the model')
  const { replay: characters, seed } = options
  const settings = { characters, seed, showAbove: options.showAbove ?? defaultSettings.showAbove }
  return replay(rooms, heldOutFolder(options.files), settings, tell)
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
