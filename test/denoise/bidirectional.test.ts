/** Bidirectional models end to end, on small random bundles: the reference's completions, by command and by protocol. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import * as ort from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BundleError } from '../../server/base/errors.ts'
import { type OpenRooms, openRooms } from '../../server/cli/openRooms.ts'
import { run } from '../../server/cli/run.ts'
import { planGap } from '../../server/infill/plan.ts'
import { openBundle } from '../../server/model/openBundle.ts'
import { fillGap } from '../../server/session/fillGap.ts'
import { askedFor } from '../../server/session/gaps.ts'
import { openEditor } from '../bench/typing/editor.ts'
import { fillLively, livelyBundle, livelyParts, maxTokens, places, text } from './livelyBundle.ts'
import { fillPlainly } from './referenceLoop.ts'

const open = new AbortController().signal
const searched = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]
const sessionOptions = { intraOpNumThreads: 1, executionMode: 'sequential', logSeverityLevel: 3 } as const
const modes = ['end-token', 'search', 'expand-delete'] as const

let root: string
const dirs = new Map<number, string>()
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'lacuna-bidirectional-'))
  for (const shift of [0, 1] as const) dirs.set(shift, await livelyBundle(join(root, `${shift}`), shift))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const openShift = (shift: 0 | 1) => openRooms(dirs.get(shift)!, { cache: true, deterministic: true })

describe.each([0, 1] as const)('with every cache off, completions are the reference’s: shift %i', (shift) => {
  let rooms: OpenRooms
  let session: ort.InferenceSession
  beforeAll(async () => {
    rooms = await openShift(shift)
    const { graphPath } = await openBundle(rooms.dir)
    session = await ort.InferenceSession.create(graphPath, sessionOptions)
  })
  afterAll(async () => {
    await rooms?.close()
    await session?.release()
  })

  test.each(modes)('%s', async (mode) => {
    const { model, manifest } = rooms
    const offsets = places(model)
    let [tokens, steps] = [0, 0]
    const [finishes, lengths] = [new Set<string>(), new Set<number>()]
    for (const [i, offset] of offsets.entries()) {
      const scope = i % 2 ? 'line' : 'block'
      const threshold = i % 3 ? 0.5 : 0.9
      const { prefixIds, suffixIds } = planGap(text, offset, model)
      const wanted = await fillPlainly(session, manifest, {
        mode,
        prefix: prefixIds,
        suffix: suffixIds,
        ends: new Set([...livelyParts.endIds, ...(scope === 'line' && mode === 'end-token' ? model.lineBreakIds : [])]),
        forbidden: new Set([...manifest.forbiddenIds, manifest.maskId]),
        expandId: livelyParts.expandId,
        slots: model.canvasSlots,
        lengths: searched,
        threshold,
        maxTokens,
      })
      const filled = await fillLively(rooms, offset, { lengthMode: mode, threshold }, scope)
      expect({ offset, ids: filled.ids, steps: filled.steps }).toEqual({ offset, ...wanted })
      expect(filled.encodedRows).toBe(0)
      tokens += wanted.ids.length
      steps += wanted.steps
      finishes.add(filled.finish)
      lengths.add(wanted.ids.length)
    }
    const found = `${offsets.length} gaps, ${tokens} tokens of ${lengths.size} lengths in ${steps} steps`
    process.stderr.write(`shift ${shift}, ${mode}: ${found}, all as the reference\n`)
    // The test would say little of a model that always does the same.
    expect(lengths.size).toBeGreaterThan(2)
    expect(finishes).toContain('ended')
  })
})

describe.each([0, 1] as const)('where a file begins: shift %i', (shift) => {
  test('a model without a document-start id reads a line break before it', async () => {
    const rooms = await openShift(shift)
    const { manifest, model } = rooms
    const session = await ort.InferenceSession.create((await openBundle(rooms.dir)).graphPath, sessionOptions)
    const filled = await fillLively(rooms, 0, { documentStartId: undefined, lengthMode: 'search', threshold: 0.9 })
    const wanted = await fillPlainly(session, manifest, {
      mode: 'search',
      prefix: model.encode('\n'),
      suffix: planGap(text, 0, model).suffixIds,
      ends: new Set(livelyParts.endIds),
      forbidden: new Set([...manifest.forbiddenIds, manifest.maskId]),
      expandId: livelyParts.expandId,
      slots: model.canvasSlots,
      lengths: searched,
      threshold: 0.9,
      maxTokens,
    })
    expect({ ids: filled.ids, steps: filled.steps }).toEqual(wanted)
    await session.release()
    await rooms.close()
  })
})

describe('the whole way', () => {
  const lacuna = async (args: readonly string[]) => {
    const printed = { out: '', err: '' }
    const code = await run(args, {
      out: (piece) => void (printed.out += piece),
      err: (piece) => void (printed.err += piece),
      stdin: Readable.from([Buffer.from(text)]),
    })
    return { code, ...printed }
  }
  /** Another manifest beside the same files. */
  const changed = async (change: object) => {
    const dir = dirs.get(1)!
    const path = join(dir, 'lacuna.json')
    const before = await readFile(path, 'utf8')
    await writeFile(path, JSON.stringify({ ...JSON.parse(before), ...change }))
    return { dir, restore: () => writeFile(path, before) }
  }

  test.each(modes)('lacuna complete: %s', async (lengthMode) => {
    const { dir, restore } = await changed({ lengthMode, ...livelyParts })
    for (const keep of [[], ['--keep', lengthMode === 'search' ? 'prefix' : 'both', '--refresh-every', '2']]) {
      const { code, out, err } = await lacuna(['complete', '-:7:15', '--model', dir, '--json', ...keep])
      expect({ code, err }).toEqual({ code: 0, err: '' })
      expect(JSON.parse(out)).toMatchObject({ model: 'lively', steps: expect.any(Number) })
      expect(JSON.parse(out).steps).toBeGreaterThan(0)
    }
    await restore()
  })

  test.each([
    [['--keep', 'all'], '--keep takes nothing, prefix or both, found "all"'],
    [['--refresh-every', '2'], 'needs --keep prefix or --keep both'],
    [['--keep', 'both', '--refresh-every', '0'], 'whole number of at least 1'],
  ])('lacuna complete %s is refused', async (args, message) => {
    const { code, err } = await lacuna(['complete', '-:7:15', '--model', dirs.get(1)!, ...args])
    expect({ code, lines: err.trimEnd().split('\n').length }).toEqual({ code: 2, lines: 1 })
    expect(err).toContain(message)
  })

  test.each([{ verify: true }, { baseShare: 0.4 }])('a model with no base cannot ask it: %o', async (options) => {
    await expect(openRooms(dirs.get(1)!, { cache: true, ...options })).rejects.toThrow(/cannot read left to right/)
  })

  test('kept rows are no option of a model that reads its context exactly', async () => {
    const { dir, restore } = await changed({ attention: 'causal-context' })
    await expect(openRooms(dir, { cache: true, keep: 'both' })).rejects.toThrow(/only bidirectional models/)
    await restore()
  })

  test('expand-delete without an expand token is refused', async () => {
    const { dir, restore } = await changed({ lengthMode: 'expand-delete', expandId: undefined })
    await expect(openRooms(dir)).rejects.toThrow(BundleError)
    await restore()
  })

  test.each(modes)('the language server: %s', async (lengthMode) => {
    const rooms = await openShift(1)
    Object.assign(rooms.model, livelyParts, { lengthMode })
    const editor = await openEditor(rooms, { debounceMs: 0, inlineBudgetMs: 60_000, maxTokens: 24 })
    await editor.open('typescript', text)
    await editor.inline({ line: 6, character: 14 })
    await editor.change({ start: { line: 6, character: 14 }, end: { line: 6, character: 14 }, text: 'x' })
    await editor.inline({ line: 6, character: 15 })
    const typed = text.replace('return self', 'returnx self')
    const request = { scope: 'line', maxTokens: 24, certainty: askedFor } as const
    const wanted = [
      await fillGap(rooms, { ...request, text, offset: text.indexOf('return self') + 6 }, open),
      await fillGap(rooms, { ...request, text: typed, offset: typed.indexOf('x self') + 1 }, open),
    ]
    // What nobody asked for stops where the model is unsure: at a beginning of what it would have filled.
    expect(editor.fills).toHaveLength(2)
    for (const [i, { ids, steps }] of editor.fills.entries()) {
      expect(steps).toBeGreaterThan(0)
      expect(ids).toEqual(wanted[i]!.ids.slice(0, ids.length))
    }
    await editor.close()
    await rooms.close()
  })
})
