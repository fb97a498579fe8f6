/** Where passes are computed: on this machine, or on the server the user named, with this machine in its stead if allowed. */

import { bearerToken } from '../base/bearer.ts'
import { systemClock } from '../base/clock.ts'
import { UserError } from '../base/errors.ts'
import { remoteAddress } from '../base/remote.ts'
import type { Engine } from '../engine/engine.ts'
import type { GapLoop } from '../engine/gapLoop.ts'
import { openOnnxEngine } from '../engine/onnx/onnxEngine.ts'
import type { EngineOptions, OpenReport } from '../engine/onnx/protocol.ts'
import { OpenInferenceEngine } from '../engine/openInference/openInferenceEngine.ts'
import type { PassFacts } from '../engine/openInference/passes.ts'
import { PassesOverEngine } from '../engine/openInference/passesOverEngine.ts'
import { openRemotePasses, type RemotePasses } from '../engine/openInference/remotePasses.ts'
import { PassesWithStandIn } from '../engine/openInference/standIn.ts'
import type { Manifest } from '../model/manifest.ts'

/** An engine elsewhere, or somebody who fills gaps as text. */
export interface RemoteEngine {
  /** `https://HOST:PORT`; or, where gaps are filled as text, an address that ends in `/completions`. */
  readonly address: string
  /** The model as that server calls it (default: as ours is called); `/v2/models/NAME` in the address says it too. */
  readonly model?: string | undefined
  /** Whether this machine computes while the server is gone. */
  readonly standIn: boolean
  /** `steps`: pass after pass, also where the server fills gaps whole (default: whole there). */
  readonly contract?: EngineContract | undefined
  /** Told when the server went and when it is back, in a sentence for the user. */
  readonly onChange?: (sentence: string) => void
  /** Told once, before text of a document is sent for the first time, in a clause for the user. */
  readonly onSendText?: (clause: string) => void
}

export type EngineContract = 'auto' | 'steps'

export interface OpenedEngine {
  readonly engine: Engine
  /** Who fills gaps whole beside it. */
  readonly loop?: GapLoop
  /** As of now. */
  readonly report: () => OpenReport
}

const deadlineMs = 20_000
/** Where nobody stands in, a server with much to do is waited for: what is asked again only stands behind all others. */
const mostDeadlines = 6

export async function openLocalEngine(
  options: EngineOptions,
  onMoved: ((report: OpenReport) => void) | undefined,
): Promise<OpenedEngine> {
  const engine = await openOnnxEngine(options, onMoved)
  return { engine, report: () => engine.report }
}

/**
 * @param openHere opens the engine of this machine when it is needed.
 * @throws {ServerGoneError} when nobody answers: a server that is not there at the start has no stand-in, since nobody
 *   knows whether it has ours as its model.
 * @throws {UserError} when it has another model.
 */
export async function openRemoteEngine(
  { address, model: named, standIn, contract = 'auto', onChange = () => {} }: RemoteEngine,
  manifest: Manifest,
  openHere: () => Promise<Engine>,
): Promise<OpenedEngine> {
  const began = performance.now()
  const { url, model } = placeOf(address, named ?? manifest.name)
  const token = await bearerToken('LACUNA_ENGINE_TOKEN')
  const options = { url, model, token, deadlineMs, mostDeadlines: standIn ? 1 : mostDeadlines }
  const remote = await openRemotePasses(options, new AbortController().signal)
  try {
    checkSameModel(remote, manifest)
  } catch (error) {
    await remote.close()
    throw error
  }
  const openLocal = async () => {
    const facts = { ...remote.facts, passRows: localPassRows }
    return new PassesOverEngine(await openHere(), facts)
  }
  const parts = { openLocal: standIn ? openLocal : undefined, clock: systemClock, random: Math.random, onChange }
  const passes = new PassesWithStandIn(remote, parts)
  const engine = new OpenInferenceEngine(passes, remote.facts)
  const fillsWhole = remote.infill !== undefined && contract === 'auto'
  const how = fillsWhole ? ', whole gaps' : ''
  const provider = `open-inference${how} (${remote.shown})`
  const report = { provider, passedOver: [], loadMs: performance.now() - began }
  return { engine, ...(fillsWhole ? { loop: passes } : {}), report: () => report }
}

const localPassRows = 64

function placeOf(address: string, name: string): { url: URL; model: string } {
  const url = remoteAddress(address, 'engine')
  const named = /^(.*)\/v2\/models\/([^/]+)\/?$/.exec(url.pathname)
  if (!named) return { url, model: name }
  const base = new URL(url)
  base.pathname = named[1]!
  try {
    return { url: base, model: decodeURIComponent(named[2]!) }
  } catch (error) {
    if (error instanceof URIError) throw new UserError(`engine: the model's name in the address is broken: ${named[2]}`)
    throw error
  }
}

/** Ids must mean the same, and rows be asked the same way. */
function checkSameModel({ facts, shown }: RemotePasses, manifest: Manifest): void {
  const { vocab, maskId, logitsShift, files } = manifest
  const wanted: Partial<PassFacts> = {
    ...{ vocab, maskId, logitsShift, inputIds: Math.max(vocab, maskId + 1), name: manifest.name },
    tokenizer: files.find(({ path }) => path === 'tokenizer.json')?.sha256 ?? '',
  }
  for (const [key, value] of Object.entries(wanted)) {
    const found = facts[key as keyof PassFacts]
    if (found === value) continue
    throw new UserError(
      `${shown}: it serves another model than ${manifest.name}: ${key} is ${String(found)}, ours is ${String(value)}; name its bundle by --model or the setting "model"`,
    )
  }
}
