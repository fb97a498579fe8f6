/** The composition root: opens bundle, tokenizer and engine, and hands a session what it needs. */
import { systemClock } from '../base/clock.ts'
import { BundleError } from '../base/errors.ts'
import { EncodingCache } from '../cache/encodingCache.ts'
import { Denoiser } from '../denoise/denoiser.ts'
import type { Engine } from '../engine/engine.ts'
import { defaultThreads, openOnnxEngine } from '../engine/onnx/onnxEngine.ts'
import type { EngineOptions, OpenReport } from '../engine/onnx/protocol.ts'
import { tokenizeIncrementally } from '../infill/tokenizeIncrementally.ts'
import type { Manifest } from '../model/manifest.ts'
import { openBundle } from '../model/openBundle.ts'
import { readTokenizer, type Tokenizer } from '../model/tokenizer.ts'
import type { Rooms, SessionModel } from '../session/fillGap.ts'

export interface OpenRooms extends Rooms {
  readonly engine: Engine
  readonly manifest: Manifest
  readonly dir: string
  readonly report: OpenReport
  close(): Promise<void>
}

export interface RoomOptions {
  readonly cache: boolean
  readonly threads?: number
  readonly deterministic?: boolean
  readonly canvasSlots?: number
}

/** A row of the default model takes 46 kB: about four windows of prefix, and half a dozen suffixes. */
const [prefixBytes, suffixBytes] = [96 * 1024 * 1024, 16 * 1024 * 1024]
/** Slots of a canvas: 8 measured best of 8, 16 and 24 (CHANGELOG). */
const preferredSlots = 8

/** @throws {BundleError} when the bundle cannot be used. */
export async function openRooms(dir: string, options: RoomOptions = { cache: true }): Promise<OpenRooms> {
  const bundle = await openBundle(dir)
  const { attention, lengthMode } = bundle.manifest
  if (attention !== 'causal-context' || lengthMode !== 'end-token') {
    throw new BundleError(
      `${dir}: attention ${attention} with length mode ${lengthMode} cannot be run yet; wanted causal-context with end-token`,
    )
  }
  const tokenizer = await readTokenizer(dir) // before the engine, which would have to be closed again
  const engine = await openOnnxEngine(engineOptions(bundle.manifest, bundle.graphPath, options))
  const enabled = options.cache
  return {
    engine,
    dir,
    manifest: bundle.manifest,
    report: engine.report,
    model: sessionModel(bundle.manifest, tokenizer, options.canvasSlots),
    prefixes: new EncodingCache(engine, { maxBytes: prefixBytes, enabled }),
    suffixes: new EncodingCache(engine, { maxBytes: suffixBytes, enabled }),
    denoiser: new Denoiser(engine),
    now: systemClock.now,
    close: () => engine.close(),
  }
}

export function engineOptions(
  manifest: Manifest,
  graphPath: string,
  options: Omit<RoomOptions, 'cache'> = {},
): EngineOptions {
  const { layers, kvHeads, headDim, vocab, maskId, logitsShift, adapter } = manifest
  return {
    graphPath,
    layers,
    kvHeads,
    headDim,
    vocab,
    inputIds: Math.max(vocab, maskId + 1),
    logitsShift,
    hasAdapter: adapter !== undefined,
    threads: options.threads ?? defaultThreads(),
    providers: ['cpu'],
    deterministic: options.deterministic ?? false,
  }
}

export function sessionModel(manifest: Manifest, tokenizer: Tokenizer, canvasSlots?: number): SessionModel {
  const {
    name,
    documentStartId,
    contextBudget,
    maxPositions,
    maskId,
    endIds,
    forbiddenIds,
    canvasSizes,
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
    canvasSlots: canvasSlots ?? (canvasSizes.includes(preferredSlots) ? preferredSlots : canvasSizes[0]!),
    threshold,
    window,
  }
}
