/** The composition root: opens bundle, tokenizer and engine, and hands a session what it needs. */
import { BundleError, UserError } from '../base/errors.ts'
import { LoopDenoiser } from '../denoise/loopDenoiser.ts'
import type { Keep } from '../denoise/wholeSurroundings.ts'
import { isTextEndpoint } from '../endpoint/textEndpoint.ts'
import type { Engine } from '../engine/engine.ts'
import { defaultThreads } from '../engine/onnx/onnxEngine.ts'
import type { EngineOptions, OpenReport, PassedOver } from '../engine/onnx/protocol.ts'
import { tokenizeIncrementally } from '../infill/tokenizeIncrementally.ts'
import type { Manifest } from '../model/manifest.ts'
import { type Bundle, openBundle, openTokens } from '../model/openBundle.ts'
import { readTokenizer, type Tokenizer } from '../model/tokenizer.ts'
import type { Rooms } from '../session/fillGap.ts'
import type { SessionModel } from '../session/sessionModel.ts'
import { type OpenedElsewhere, openElsewhere } from './openElsewhere.ts'
import { type OpenedEngine, openLocalEngine, openRemoteEngine, type RemoteEngine } from './openEngine.ts'
import { roomsOver } from './roomsOver.ts'

export interface OpenRooms extends Rooms {
  readonly engine: Engine
  readonly manifest: Manifest
  readonly dir: string
  /** As of now: a provider may be lost while it works. */
  readonly report: OpenReport
  close(): Promise<void>
}

export interface RoomOptions {
  readonly cache: boolean
  readonly threads?: number
  readonly deterministic?: boolean
  /** Passes are computed, or gaps filled, there (default: here). Of the bundle only manifest and tokenizer are needed then. */
  readonly engine?: RemoteEngine | undefined
  /** Execution providers to try before the processor, which is always there (default: none). */
  readonly providers?: readonly string[]
  /** Those that failed in this process, and are not tried again. */
  readonly lost?: readonly PassedOver[]
  /** Told when a provider failed in a pass and the next one took over. */
  readonly onMoved?: (report: OpenReport) => void
  readonly canvasSlots?: number
  /** `stored`: matrices are multiplied as they lie on disk, where 8 bits would be faster; for comparisons. */
  readonly weights?: 'fastest' | 'stored'
  /** Of bidirectional models alone: rows kept between the steps of a request (default: nothing). */
  readonly keep?: Keep
  readonly refreshEvery?: number // steps; of no meaning when nothing is kept
  /** Of models that read the text causally: the share of this reading in the leftmost open slot, 0 … 1 (default: 0, CHANGELOG). */
  readonly baseShare?: number
  /** Of models that read the text causally: complete with what this reading alone would write (default: no). */
  readonly verify?: boolean
}

/** Slots of a canvas: 8 measured best of 8, 16 and 24 (CHANGELOG). */
const preferredSlots = 8
/** Steps between two whole passes when rows are kept. */
export const defaultRefreshEvery = 4
/** Rows on either side of the slots that are computed in every step beside kept ones (`training/bidirectional`). */
const freshRows = 16

/**
 * @throws {BundleError} when the bundle cannot be used.
 * @throws {UserError} when rows are to be kept that the model reads exactly, and once, anyway; when a base is to be asked
 * where there is none.
 */
export async function openRooms(dir: string, options: RoomOptions = { cache: true }): Promise<OpenRooms> {
  const bundle = options.engine ? undefined : await openBundle(dir)
  const manifest = bundle?.manifest ?? (await openTokens(dir))
  const { attention, lengthMode, expandId, name } = manifest
  if (lengthMode === 'expand-delete' && expandId === undefined) {
    throw new BundleError(
      `${dir}: lacuna.json: length mode expand-delete needs an expandId, and there is none; run "lacuna model convert" again`,
    )
  }
  if (attention !== 'bidirectional' && (options.keep ?? 'nothing') !== 'nothing') {
    throw new UserError(
      `${name} reads what stands around a gap once and exactly; only bidirectional models have a choice of what to keep`,
    )
  }
  if (attention === 'bidirectional' && (options.verify || (options.baseShare ?? 0) > 0)) {
    throw new UserError(`${name} cannot read left to right: there is no base to verify by, or to have a share`)
  }
  const opening = openEngine(dir, manifest, bundle, options)
  // Read here while the worker opens the graph: each takes most of a second.
  const reading = readTokenizer(dir, manifest.vocab)
  const [opened, read] = await Promise.allSettled([opening, reading])
  if (read.status === 'rejected' && opened.status === 'fulfilled') await opened.value.engine.close()
  const [{ engine, loop, infiller, report }, tokenizer] = [await opening, await reading]
  return {
    ...roomsOver(engine, sessionModel(manifest, tokenizer, options), options.cache),
    engine,
    dir,
    manifest,
    get report() {
      return report()
    },
    loop: loop && new LoopDenoiser(loop),
    elsewhere: infiller && { infiller, orHere: options.engine?.standIn === true },
    async close() {
      infiller?.close()
      await engine.close()
    },
  }
}

async function openEngine(
  dir: string,
  manifest: Manifest,
  bundle: Bundle | undefined,
  options: RoomOptions,
): Promise<OpenedEngine & Partial<OpenedElsewhere>> {
  const { engine, onMoved } = options
  if (bundle || !engine) return openLocalEngine(engineOptions(bundle ?? (await openBundle(dir)), options), onMoved)
  const openHere = async () => (await openLocalEngine(engineOptions(await openBundle(dir), options), onMoved)).engine
  if (!isTextEndpoint(engine.address)) return openRemoteEngine(engine, manifest, openHere)
  return openElsewhere(engine, openHere)
}

export function engineOptions(
  { manifest, graphPath, int8 }: Pick<Bundle, 'manifest' | 'graphPath' | 'int8'>,
  options: Omit<RoomOptions, 'cache'> = {},
): EngineOptions {
  const { layers, kvHeads, headDim, vocab, maskId, logitsShift, maxPositions, adapter } = manifest
  return {
    graphPath,
    ...(int8 && options.weights !== 'stored' ? { int8 } : {}),
    layers,
    kvHeads,
    headDim,
    vocab,
    inputIds: Math.max(vocab, maskId + 1),
    maxPositions,
    logitsShift,
    hasAdapter: adapter !== undefined,
    threads: options.threads ?? defaultThreads(),
    providers: [...(options.providers ?? []).filter((name) => name !== 'cpu'), 'cpu'],
    lost: options.lost ?? [],
    deterministic: options.deterministic ?? false,
  }
}

export function sessionModel(
  manifest: Manifest,
  tokenizer: Tokenizer,
  {
    canvasSlots,
    keep = 'nothing',
    refreshEvery = defaultRefreshEvery,
    baseShare = 0,
    verify = false,
  }: Omit<RoomOptions, 'cache'> = {},
): SessionModel {
  const {
    name,
    documentStartId,
    contextBudget,
    maxPositions,
    maskId,
    endIds,
    forbiddenIds,
    attention,
    lengthMode,
    expandId,
    canvasSizes,
    drafting,
    threshold,
    window,
  } = manifest
  return {
    name,
    encode: tokenizeIncrementally((text) => tokenizer.encode(text)),
    decode: (ids) => tokenizer.decode(ids),
    tokenText: (id) => tokenizer.tokenText(id),
    documentStartId,
    prefixTokens: contextBudget.prefixTokens,
    suffixTokens: contextBudget.suffixTokens,
    maxPositions,
    maskId,
    endIds,
    forbiddenIds,
    lineBreakIds: tokenizer.lineBreakIds,
    attention,
    whole: { keep, refreshEvery: keep === 'nothing' ? 1 : refreshEvery, freshRows },
    lengthMode,
    expandId,
    canvasSlots: canvasSlots ?? (canvasSizes.includes(preferredSlots) ? preferredSlots : canvasSizes[0]!),
    drafting,
    threshold,
    window,
    baseShare,
    verify,
  }
}
