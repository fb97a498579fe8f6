/** The rooms of a session over an engine that predicts bytes. */

import { roomsOver as roomsOfServer } from '../../server/cli/roomsOver.ts'
import type { Engine } from '../../server/engine/engine.ts'
import type { Rooms } from '../../server/session/fillGap.ts'
import type { SessionModel } from '../../server/session/sessionModel.ts'
import { byteModel } from './byteModel.ts'

/**
 * @param model in which it is another one than `byteModel`.
 * @param now milliseconds; default: time stands still.
 */
export function roomsOver(engine: Engine, model: Partial<SessionModel> = {}, now = () => 0): Rooms {
  return { ...roomsOfServer(engine, { ...byteModel, ...model }, true), now }
}
