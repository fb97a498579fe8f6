/** `lacuna complete`: fills one or several gaps of a file and prints what belongs there. */
import { readFile } from 'node:fs/promises'
import { messageOf, UserError } from '../base/errors.ts'
import { textsBeside } from '../config/nearbyFiles.ts'
import { resolveModel } from '../model/store.ts'
import { fillHoles } from '../session/fillGap.ts'
import { askedFor, type FilledHole, type HolesRequest } from '../session/gaps.ts'
import type { Arguments, Command, Terminal } from './command.ts'
import { defaultRefreshEvery, openRooms, type RoomOptions } from './openRooms.ts'
import { type FilePlace, offsetOf, parsePlace, positionOf } from './place.ts'

const defaultMaxTokens = 64

export const complete: Command = {
  name: 'complete',
  positionals: ['FILE:LINE:COL…'],
  summary: 'Fills the gap at a place in a file, or several at once, and prints what belongs there.',
  details:
    'LINE and COL count from 1, COL in UTF-16 units, as editors do; "-:LINE:COL" reads standard input.\n' +
    'The rest of the line is filled, chosen with the code before and after it in sight.\n' +
    'Several places of one file are filled together, each with the others in sight: a name that one of them gives\n' +
    'can be used in another. They are printed from the top of the file, as FILE:LINE:COL: TEXT.',
  options: {
    json: {
      type: 'boolean',
      help: 'print one JSON object: text, range (0-based), steps, times; of several places a list of edits',
    },
    model: { type: 'string', value: 'DIR', help: 'a model bundle, by folder or name (default: see "model use")' },
    engine: {
      type: 'string',
      value: 'URL',
      help: 'a server of the Open Inference Protocol that computes the passes; only token ids go there. An address that ends in /completions: a server that fills gaps; the text around them goes there',
    },
    'engine-model': { type: 'string', value: 'NAME', help: 'with --engine: the model as that server calls it' },
    'or-here': { type: 'boolean', help: 'with --engine: this machine computes while the server is gone' },
    alone: { type: 'boolean', help: 'do not hear what files of the same kind near this one say' },
    'max-tokens': { type: 'string', value: 'N', help: `at most N tokens for each place (default ${defaultMaxTokens})` },
    block: { type: 'boolean', help: 'fill as many lines as belong there, not only the rest of the line' },
    'no-cache': { type: 'boolean', help: 'keep nothing that was encoded; the answer is the same' },
    keep: {
      type: 'string',
      value: 'WHAT',
      help: 'bidirectional models: rows kept between steps, nothing (default), prefix or both; the answer may differ',
    },
    'refresh-every': {
      type: 'string',
      value: 'K',
      help: `with --keep: compute all rows again every K steps (default ${defaultRefreshEvery})`,
    },
    'base-share': {
      type: 'string',
      value: 'PERCENT',
      help: 'let the model as it reads text, without what follows, have a say in the next token (default 0)',
    },
    verify: { type: 'boolean', help: 'fill in what the model would write from left to right, as it reads text' },
  },
  async run(args, terminal) {
    const places = readPlaces(args.positionals)
    const { file } = places[0]!
    const maxTokens = args.count('max-tokens', 1) ?? defaultMaxTokens
    const text = await readDocument(file, terminal)
    const scope = args.flag('block') ? 'block' : 'line'
    const holes = places.map((place): HolesRequest['holes'][number] => {
      const offset = offsetOf(text, place)
      return { span: { start: offset, end: offset }, scope }
    })
    const began = performance.now()
    const options: RoomOptions = {
      cache: !args.flag('no-cache'),
      ...keepOptions(args),
      ...baseOptions(args),
      ...engineOption(args, terminal),
    }
    const rooms = await openRooms(await resolveModel(args.text('model')), options)
    const load = performance.now() - began
    try {
      const nearby = args.flag('alone') || file === '-' ? [] : await textsBeside()(file)
      const request = { text, nearby, holes, maxTokens, certainty: askedFor, languageId: languageOf(file) }
      const filled = await fillHoles(rooms, request, new AbortController().signal)
      if (!args.flag('json')) {
        for (const [i, hole] of filled.holes.entries())
          printFilled(hole, places.length > 1 ? places[i] : undefined, terminal)
        return 0
      }
      const { encode, denoise, total } = filled.ms
      const edits = filled.holes.map((hole, i) => editAsJson(hole, text, holes[i]!.span.start))
      terminal.out(
        `${JSON.stringify({
          ...(edits.length > 1 ? { edits } : edits[0]),
          steps: filled.steps,
          model: filled.writtenBy,
          ms: {
            load: Math.round(load),
            encode: Math.round(encode),
            denoise: Math.round(denoise),
            total: Math.round(load + total),
          },
        })}\n`,
      )
      return 0
    } finally {
      await rooms.close()
    }
  },
}

/** From the top of the file. */
function readPlaces(positionals: readonly string[]): FilePlace[] {
  const places = positionals.map(parsePlace)
  const [{ file }] = places as [FilePlace]
  const other = places.find((place) => place.file !== file)
  if (other)
    throw new UserError(`wanted places of one file, found ${file} and ${other.file}; run the command once for each`)
  places.sort((a, b) => a.line - b.line || a.column - b.column)
  const twice = places.find(({ line, column }, i) => line === places[i - 1]?.line && column === places[i - 1]?.column)
  if (twice) throw new UserError(`${atPlace(twice)} is asked twice; each place can be filled once`)
  return places
}

/** @param place where several were asked for. */
function printFilled(filled: FilledHole, place: FilePlace | undefined, terminal: Terminal): void {
  const at = place ? `${atPlace(place)}: ` : ''
  if (filled.kind === 'completion') terminal.out(`${at}${filled.edit.text}\n`)
  else terminal.err(`${at}nothing: ${filled.reason}\n`)
}

function atPlace({ file, line, column }: FilePlace): string {
  return `${file}:${line}:${column}`
}

function editAsJson(filled: FilledHole, text: string, offset: number) {
  const { start, end } = filled.kind === 'completion' ? filled.edit.span : { start: offset, end: offset }
  return {
    kind: filled.kind,
    text: filled.kind === 'completion' ? filled.edit.text : '',
    ...(filled.kind === 'nothing' ? { reason: filled.reason } : {}),
    range: { start: positionOf(text, start), end: positionOf(text, end) },
  }
}

function engineOption(args: Arguments, terminal: Terminal): Pick<RoomOptions, 'engine'> {
  const address = args.text('engine')
  const [standIn, model] = [args.flag('or-here'), args.text('engine-model')]
  if (address === undefined && standIn) throw new UserError('--or-here says what --engine falls back to; it needs one')
  if (address === undefined && model !== undefined)
    throw new UserError('--engine-model names a model of the server that --engine names; it needs one')
  if (address === undefined) return {}
  return { engine: { address, model, standIn, onChange: (sentence) => terminal.err(`${sentence}\n`) } }
}

function keepOptions(args: Arguments): Pick<RoomOptions, 'keep' | 'refreshEvery'> {
  const keep = args.text('keep') ?? 'nothing'
  const refreshEvery = args.count('refresh-every', 1)
  if (keep !== 'nothing' && keep !== 'prefix' && keep !== 'both')
    throw new UserError(`--keep takes nothing, prefix or both, found "${keep}"`)
  if (keep === 'nothing' && refreshEvery !== undefined)
    throw new UserError('--refresh-every says how long kept rows last; it needs --keep prefix or --keep both')
  return { keep, ...(refreshEvery === undefined ? {} : { refreshEvery }) }
}

function baseOptions(args: Arguments): Pick<RoomOptions, 'baseShare' | 'verify'> {
  const percent = args.count('base-share', 0) ?? 0
  if (percent > 100) throw new UserError(`--base-share takes 0 to 100, found "${percent}"`)
  if (percent > 0 && args.flag('verify'))
    throw new UserError('--verify leaves every token to the base; it takes no --base-share')
  return { baseShare: percent / 100, verify: args.flag('verify') }
}

async function readDocument(file: string, terminal: Terminal): Promise<string> {
  if (file === '-') {
    const chunks: Buffer[] = []
    for await (const chunk of terminal.stdin) chunks.push(Buffer.from(chunk))
    return Buffer.concat(chunks).toString('utf8')
  }
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new UserError(`cannot read ${file}: ${messageOf(error)}`)
  }
}

/** LSP's name of the language, by the file's ending; only brackets, comments and quotes depend on it. */
function languageOf(file: string): string {
  const ending = file.slice(file.lastIndexOf('.') + 1)
  return languageIds.get(ending) ?? 'plaintext'
}

const languageIds: ReadonlyMap<string, string> = new Map(
  Object.entries({
    py: 'python',
    js: 'javascript',
    mjs: 'javascript',
    cjs: 'javascript',
    jsx: 'javascriptreact',
    ts: 'typescript',
    mts: 'typescript',
    tsx: 'typescriptreact',
    rs: 'rust',
    go: 'go',
    c: 'c',
    h: 'c',
    cpp: 'cpp',
    java: 'java',
    lua: 'lua',
    sh: 'shellscript',
    rb: 'ruby',
  }),
)
