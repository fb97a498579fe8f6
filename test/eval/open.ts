/** The composition root: from options to a benchmark, to answerers, and to what they have in common. */
import { UserError } from '../../server/base/errors.ts'
import { type OpenRooms, openRooms } from '../../server/cli/openRooms.ts'
import { defaultSettings } from '../../server/config/settings.ts'
import { resolveModel } from '../../server/model/store.ts'
import { baseReader } from './answerers/baseReader.ts'
import { fileNgram } from './answerers/fileNgram.ts'
import { languageServer, spawnServer } from './answerers/languageServer.ts'
import { product } from './answerers/product.ts'
import { broken, reference } from './answerers/reference.ts'
import { aboutRooms } from './answerers/rooms.ts'
import type { Answerer, Benchmark } from './benchmark.ts'
import { againstReference, type HumanEvalRow, humanEval, type PlusRow } from './benchmarks/generation.ts'
import { humanEvalInfilling, readSplit } from './benchmarks/humanEvalInfilling.ts'
import { benchmarkFile, readJsonLines } from './benchmarks/jsonLines.ts'
import { heldOutFolder, restOfLine } from './benchmarks/restOfLine.ts'
import type { AnswererName, Options } from './options.ts'
import { openSandbox } from './sandbox.ts'

/** @param folder `test/eval` of the checkout, where the sandbox's files lie. */
export async function openBenchmark(options: Options, folder: string): Promise<Benchmark> {
  const { benchmark, data, file, split, limit, seed, isolated } = options
  const sandbox = () => openSandbox(folder, isolated ? 'namespaces' : 'none')
  const rows = <Row>(name: string, keys: readonly string[]) => readJsonLines<Row>(benchmarkFile(data, name), keys)
  const plusKeys = ['task_id', 'entry_point', 'prompt', 'canonical_solution', 'base_input', 'plus_input', 'atol']
  const drawing = { limit, seed }
  switch (benchmark) {
    case 'humaneval-infilling': {
      const names = { 'single-line': 'HumanEval-SingleLineInfilling', 'multi-line': 'HumanEval-MultiLineInfilling' }
      const wanted = Object.entries(names).filter(([name]) => split === undefined || split === name)
      const paths = file ? [file] : wanted.map(([, name]) => benchmarkFile(data, `${name}.jsonl.gz`))
      return humanEvalInfilling(paths.map(readSplit), await sandbox(), drawing)
    }
    case 'humaneval': {
      const keys = ['task_id', 'entry_point', 'prompt', 'canonical_solution', 'test'] as const
      return humanEval(rows<HumanEvalRow>('HumanEval.jsonl.gz', keys), await sandbox(), drawing)
    }
    case 'mbpp': {
      const sets = { mbpp: rows<PlusRow>('MbppPlus.jsonl.gz', plusKeys) }
      return againstReference(benchmark, sets, false, await sandbox(), drawing)
    }
    case 'evalplus': {
      const sets = {
        'humaneval+': rows<PlusRow>('HumanEvalPlus.jsonl.gz', plusKeys),
        'mbpp+': rows<PlusRow>('MbppPlus.jsonl.gz', plusKeys),
      }
      return againstReference(benchmark, sets, true, await sandbox(), drawing)
    }
    case 'rest-of-line':
      return restOfLine(heldOutFolder(options.files), {
        ...drawing,
        languages: options.languages,
        alone: options.alone,
      })
  }
}

export interface OpenAnswerers {
  readonly answerers: readonly Answerer[]
  /** Where one of them needs the model. */
  readonly rooms: OpenRooms | undefined
  close(): Promise<void>
}

export async function openAnswerers(options: Options): Promise<OpenAnswerers> {
  const { answerers: names, server, replay } = options
  if (names.length === 0 && !server) throw new UserError('--answerers: nobody is asked')
  const needsModel = names.some((name) => name !== 'reference' && name !== 'broken') || replay !== undefined
  const roomOptions = {
    cache: true,
    ...(options.canvas === undefined ? {} : { canvasSlots: options.canvas }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    weights: options.stored ? 'stored' : 'fastest',
  } as const
  const rooms = needsModel ? await openRooms(await resolveModel(options.model), roomOptions) : undefined
  const about = rooms ? await aboutRooms(rooms, roomOptions) : {}
  const open = (name: AnswererName): Answerer => {
    switch (name) {
      case 'lacuna':
        return product(rooms!, about, options.showAbove ?? defaultSettings.showAbove)
      case 'base':
        return baseReader(rooms!, about, 'prefix')
      case 'base-suffix-first':
        return baseReader(rooms!, about, 'suffix-first')
      case 'ngram':
        return fileNgram(rooms!.model, 'file')
      case 'ngram-in-window':
        return fileNgram(rooms!.model, 'window')
      case 'ngram-nearby':
        return fileNgram(rooms!.model, 'nearby')
      case 'reference':
        return reference
      case 'broken':
        return broken
    }
  }
  const answerers = names.map(open)
  if (server)
    answerers.push(await languageServer(spawnServer(server.command), { ...server, patienceMs: options.patienceMs }))
  return {
    answerers,
    rooms,
    async close() {
      for (const answerer of answerers) await answerer.close()
      await rooms?.close()
    },
  }
}
