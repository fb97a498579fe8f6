/** The rooms of a session over an engine that predicts bytes. */
import { EncodingCache } from '../../server/cache/encodingCache.ts'
import { Turns } from '../../server/cache/turns.ts'
import { Denoiser } from '../../server/denoise/denoiser.ts'
import type { Engine } from '../../server/engine/engine.ts'
import type { Rooms } from '../../server/session/fillGap.ts'
import type { SessionModel } from '../../server/session/sessionModel.ts'
import { byteModel } from './byteModel.ts'

/**
 * @param model in which it is another one than `byteModel`.
 * @param now milliseconds; default: time stands still.
 */
export function roomsOver(engine: Engine, model: Partial<SessionModel> = {}, now = () => 0): Rooms {
  const turns = new Turns()
  const cache = () => new EncodingCache(engine, { maxBytes: 1e6, enabled: true }, turns)
  return {
    model: { ...byteModel, ...model },
    prefixes: cache(),
    suffixes: cache(),
    denoiser: new Denoiser(engine),
    now,
  }
}
