/** Who fills gaps as text, where the user named such a server: with its token, and with this machine in its stead if allowed. */
import { bearerToken } from '../base/bearer.ts'
import { systemClock } from '../base/clock.ts'
import { UserError } from '../base/errors.ts'
import { remoteAddress, shownAddress } from '../base/remote.ts'
import { RestingInfiller } from '../endpoint/restingInfiller.ts'
import { TextEndpoint } from '../endpoint/textEndpoint.ts'
import type { Engine } from '../engine/engine.ts'
import type { Infiller } from '../infill/infiller.ts'
import { EngineWhenNeeded } from './engineWhenNeeded.ts'
import type { OpenedEngine, RemoteEngine } from './openEngine.ts'

export interface OpenedElsewhere extends OpenedEngine {
  readonly infiller: Infiller
}

const deadlineMs = 10_000

/**
 * Nothing is sent before somebody asks.
 *
 * @param openLocal the engine of this machine, opened only where the user allows it and something needs it.
 * @throws {UserError} for an address or a token that cannot be used, and without a model's name.
 */
export async function openElsewhere(
  { address, model, standIn, onChange = () => {}, onSendText = () => {} }: RemoteEngine,
  openLocal: () => Promise<Engine>,
): Promise<OpenedElsewhere> {
  const url = remoteAddress(address, 'engine')
  const place = shownAddress(url)
  if (model === undefined)
    throw new UserError(
      `${place}: wanted the model's name as that server calls it; set "engineModel", or give --engine-model`,
    )
  const token = await bearerToken('LACUNA_ENGINE_TOKEN')
  let sent = false
  const onSend = () => {
    if (!sent) onSendText(`text around the cursor is sent to ${place}`)
    sent = true
  }
  const meanwhile = standIn ? 'this machine goes on' : undefined
  const endpoint = new TextEndpoint({ url, model, token, deadlineMs, onSend })
  const infiller = new RestingInfiller(endpoint, { clock: systemClock, onChange, meanwhile })
  const here = async () => {
    if (standIn) return openLocal()
    throw new UserError(
      `${place} fills gaps and tells no probabilities; where this machine may compute them, set "engineElse" to "local"`,
    )
  }
  const report = { provider: `text (${infiller.shown})`, passedOver: [], loadMs: 0 }
  return { infiller, engine: new EngineWhenNeeded(here), report: () => report }
}
