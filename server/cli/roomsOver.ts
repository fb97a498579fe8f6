/** What each session has of its own over an engine: caches and the batch loop. */
import { systemClock } from '../base/clock.ts'
import { CanvasCache } from '../cache/canvasCache.ts'
import { EncodingCache } from '../cache/encodingCache.ts'
import { Turns } from '../cache/turns.ts'
import { Denoiser } from '../denoise/denoiser.ts'
import type { Engine } from '../engine/engine.ts'
import type { Rooms } from '../session/fillGap.ts'
import type { SessionModel } from '../session/sessionModel.ts'

/** A row of the default model takes 46 kB: about four windows of prefix, and half a dozen suffixes. */
const [prefixBytes, suffixBytes] = [96 * 1024 * 1024, 16 * 1024 * 1024]

/** @param cache whether anything is kept from request to request. */
export function roomsOver(engine: Engine, model: SessionModel, cache: boolean): Rooms {
  const turns = new Turns()
  return {
    model,
    prefixes: new EncodingCache(engine, { maxBytes: prefixBytes, enabled: cache }, turns),
    suffixes: new EncodingCache(engine, { maxBytes: suffixBytes, enabled: cache }, turns),
    canvases: cache ? new CanvasCache(engine) : undefined,
    denoiser: new Denoiser(engine),
    now: systemClock.now,
  }
}
