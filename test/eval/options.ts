/** The command line of `npm run eval`, as plain data. */
import { parseArgs } from 'node:util'
import { UserError } from '../../server/base/errors.ts'

export const benchmarkNames = ['humaneval-infilling', 'humaneval', 'mbpp', 'evalplus', 'rest-of-line'] as const
export type BenchmarkName = (typeof benchmarkNames)[number]

export const answererNames = [
  'lacuna',
  'base',
  'base-suffix-first',
  'ngram',
  'ngram-in-window',
  'ngram-nearby',
  'reference',
  'broken',
] as const
export type AnswererName = (typeof answererNames)[number]

export const help = `npm run eval -- BENCHMARK [options]

  humaneval-infilling   a line, and several, taken out of Python functions: tests passed, and exact match
  humaneval             functions from their beginning, no suffix: tests passed
  mbpp                  the same, from a sentence: outputs equal to the reference's
  evalplus              HumanEval+ and MBPP+: the same on the base inputs, and on the many added ones
  rest-of-line          lines of held-out packages cut at any character: exact match, per language, against baselines

  --limit N             so many cases, drawn by the seed (of each split, set or language; default: all, 60 of rest-of-line)
  --seed N              of the choice of cases (default 1)
  --model DIR           a bundle, by folder or name (default: as the server takes it)
  --answerers LIST      of ${answererNames.join(',')}
                        (the last two need no model: 100 %, and 0); the first is compared with the others
                        (default: lacuna; of rest-of-line: lacuna,base,base-suffix-first,ngram,ngram-in-window)
  --server CMD          ask this completion language server too, over stdio; alone unless --answerers is given
  --server-settings J   its settings, as JSON (initialization options)
  --server-name NAME    what it is called in the results (default: the command)
  --patience MS         how long its answer may take (default 10000)
  --data DIR            the benchmarks' files (default: LACUNA_BENCHMARKS)
  --file F              of humaneval-infilling: any split's file
  --split NAME          of humaneval-infilling: single-line or multi-line (default: both)
  --files DIR           of rest-of-line: files as test/bench/fetchFiles.sh lays them
  --languages LIST      of rest-of-line: by LSP's names, like python,typescript (default: all there are files of)
  --alone               of rest-of-line: without the files beside each file, which an editor's user has
  --replay N            of rest-of-line: then a person types N characters of two files of each language, in real time
  --canvas N, --weights stored, --threads N, --show-above P
                        as of the product's own options
  --out FILE            results, a line each; a run that was cut off goes on (default: eval-results/…)
  --fresh               begin that file anew
  --processes N         so many at once (default 1)
  --no-isolation        run the benchmark's programs on the open machine where there is no isolation. They were written by
                        a model: do this only in a machine that you can throw away
  --json                one object, on stdout; progress is on stderr
`

export interface Options {
  readonly benchmark: BenchmarkName
  readonly limit?: number | undefined
  readonly seed: number
  readonly model?: string | undefined
  readonly answerers: readonly AnswererName[]
  readonly server?: {
    readonly command: string
    readonly name: string
    readonly settings: Readonly<Record<string, unknown>>
  }
  readonly patienceMs: number
  readonly data?: string | undefined
  readonly file?: string | undefined
  readonly split?: string | undefined
  readonly files?: string | undefined
  readonly languages?: readonly string[] | undefined
  readonly alone: boolean
  readonly replay?: number | undefined
  readonly canvas?: number | undefined
  readonly stored: boolean
  readonly threads?: number | undefined
  readonly showAbove?: number | undefined
  readonly out?: string | undefined
  readonly fresh: boolean
  readonly processes: number
  readonly isolated: boolean
  readonly json: boolean
  /** Told by the process that started this one: asks and scores what it is sent, and writes nothing. */
  readonly isWorker: boolean
}

/**
 * @returns `undefined` where only help is wanted.
 * @throws {UserError} when something is not understood.
 */
export function readOptions(argv: readonly string[], env: NodeJS.ProcessEnv): Options | undefined {
  const { values, positionals } = parsed(argv)
  if (values.help) return undefined
  const [benchmark, ...more] = positionals
  if (!isOneOf(benchmarkNames, benchmark) || more.length > 0)
    throw new UserError(
      `wanted one of ${benchmarkNames.join(', ')}, found "${positionals.join(' ')}"; --help tells more`,
    )
  if (values.split !== undefined && !['single-line', 'multi-line'].includes(values.split))
    throw new UserError(`--split takes single-line or multi-line, found "${values.split}"`)
  if (values.weights !== undefined && values.weights !== 'stored' && values.weights !== 'fastest')
    throw new UserError(`--weights takes stored or fastest, found "${values.weights}"`)
  if (values.replay !== undefined && (benchmark !== 'rest-of-line' || Number(values.processes ?? 1) > 1))
    throw new UserError('--replay is of rest-of-line, and in one process: it takes the time of a person')
  const usual = benchmark === 'rest-of-line' ? 'lacuna,base,base-suffix-first,ngram,ngram-in-window' : 'lacuna'
  const list = values.answerers ?? (values.server === undefined ? usual : '')
  const answerers = list.split(',').filter((name) => name !== '')
  for (const name of answerers)
    if (!isOneOf(answererNames, name))
      throw new UserError(`--answerers: there is no "${name}"; there are ${answererNames.join(', ')}`)
  return {
    benchmark,
    limit: count('limit', values.limit, 1),
    seed: count('seed', values.seed, 0) ?? 1,
    model: values.model,
    answerers: answerers as AnswererName[],
    ...(values.server === undefined
      ? {}
      : {
          server: {
            command: values.server,
            name: values['server-name'] ?? values.server,
            settings: settingsOf(values['server-settings']),
          },
        }),
    patienceMs: count('patience', values.patience, 1) ?? 10_000,
    data: values.data ?? env.LACUNA_BENCHMARKS,
    file: values.file,
    split: values.split,
    files: values.files,
    languages: values.languages?.split(','),
    alone: values.alone ?? false,
    replay: count('replay', values.replay, 1),
    canvas: count('canvas', values.canvas, 1),
    stored: values.weights === 'stored',
    threads: count('threads', values.threads, 1),
    showAbove: probability(values['show-above']),
    out: values.out ?? values.resume,
    fresh: values.fresh ?? false,
    processes: count('processes', values.processes, 1) ?? 1,
    isolated: !values['no-isolation'],
    json: values.json ?? false,
    isWorker: values.worker ?? false,
  }
}

function parsed(argv: readonly string[]) {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        ...{ limit: text, seed: text, model: text, answerers: text, data: text, file: text, split: text, files: text },
        ...{ languages: text },
        ...{ server: text, 'server-settings': text, 'server-name': text, patience: text, replay: text, canvas: text },
        ...{ weights: text, threads: text, 'show-above': text, out: text, resume: text, processes: text },
        ...{ alone: flag, fresh: flag, 'no-isolation': flag, json: flag, worker: flag, help: { ...flag, short: 'h' } },
      },
    })
  } catch (error) {
    if (error instanceof TypeError) throw new UserError(error.message)
    throw error
  }
}

function count(name: string, value: string | undefined, least: number): number | undefined {
  if (value === undefined) return undefined
  const number = Number(value)
  if (!Number.isInteger(number) || number < least)
    throw new UserError(`--${name} takes a whole number from ${least}, found "${value}"`)
  return number
}

function probability(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const number = Number(value)
  if (!(number >= 0 && number <= 1)) throw new UserError(`--show-above takes a probability, 0 to 1, found "${value}"`)
  return number
}

function settingsOf(json: string | undefined): Record<string, unknown> {
  if (json === undefined) return {}
  try {
    return JSON.parse(json) as Record<string, unknown>
  } catch (error) {
    throw new UserError(`--server-settings takes JSON: ${(error as Error).message}`)
  }
}

function isOneOf<Name extends string>(names: readonly Name[], name: string | undefined): name is Name {
  return names.some((one) => one === name)
}
