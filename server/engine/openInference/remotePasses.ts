/** Passes on a server of the Open Inference Protocol that serves the step contract, and whole gaps where it serves infill too. */
import { randomBytes } from 'node:crypto'
import { UserError } from '../../base/errors.ts'
import type { GapJob, GapTexts, WrittenGap } from '../gapLoop.ts'
import { infillInputs, infillOutputs, infillTensors, readingTensors, readWritten } from './infillTensors.ts'
import { OipServer, type OipServerOptions, type TensorFact } from './oipServer.ts'
import type { PassAnswer, Passes, PassFacts, PassRequest } from './passes.ts'
import { readAnswer, readFacts, requestTensors, stepInputs, stepOutputs } from './stepTensors.ts'
import { MalformedBody } from './tensors.ts'

export interface RemotePasses extends Passes {
  readonly facts: PassFacts
  /** For messages: server and model. */
  readonly shown: string
  /** Fills a gap in one request, where the server offers that: its metadata have all tensors of the infill contract. */
  readonly infill: ((job: GapJob, signal: AbortSignal) => Promise<WrittenGap>) | undefined
  /** Has texts of a gap to come read, where it is offered to fill them. */
  readAhead(texts: GapTexts, signal: AbortSignal): Promise<void>
  /**
   * For a server that was gone: that it is ready again, answers, and serves the model it served; what it offers is learnt anew.
   *
   * @throws as `openRemotePasses`, where it is not.
   */
  lookAgain(signal: AbortSignal): Promise<void>
}

/**
 * Asks the server whether it is ready, and for the tensors and the facts of its model.
 *
 * @throws {ServerGoneError} when nobody is there or ready.
 * @throws {UserError} when the model is not there, or not of this contract.
 */
export async function openRemotePasses(options: OipServerOptions, signal: AbortSignal): Promise<RemotePasses> {
  const server = new OipServer(options)
  try {
    return new OverHttp(server, await offerOf(server, signal))
  } catch (error) {
    server.close()
    throw error
  }
}

interface Offer {
  readonly facts: PassFacts
  readonly wholeGaps: boolean
}

async function offerOf(server: OipServer, signal: AbortSignal): Promise<Offer> {
  await server.ready(signal)
  const { inputs, outputs } = await server.metadata(signal)
  checkTensors(server, 'input', stepInputs, inputs)
  checkTensors(server, 'output', stepOutputs, outputs)
  const lacking = [...unlike(infillInputs, inputs), ...unlike(infillOutputs, outputs)]
  return { facts: await factsOf(server, signal), wholeGaps: lacking.length === 0 }
}

class OverHttp implements RemotePasses {
  readonly facts: PassFacts
  private readonly server: OipServer
  private wholeGaps: boolean
  /** Handles of one session mean nothing in another. */
  private readonly session = randomBytes(16).toString('hex')

  constructor(server: OipServer, { facts, wholeGaps }: Offer) {
    this.server = server
    this.facts = facts
    this.wholeGaps = wholeGaps
  }

  get infill(): RemotePasses['infill'] {
    return this.wholeGaps ? (job, signal) => this.written(job, signal) : undefined
  }

  get shown(): string {
    return this.server.shown
  }

  async run(request: PassRequest, signal: AbortSignal): Promise<PassAnswer> {
    const wanted = Object.keys(stepOutputs).filter((name) => name !== 'facts')
    const tensors = await this.server.infer(requestTensors(request), { session: this.session }, signal, wanted)
    return understood(this.server, () => readAnswer(tensors, request, this.facts.vocab))
  }

  async readAhead(texts: GapTexts, signal: AbortSignal): Promise<void> {
    if (!this.wholeGaps) return
    const inputs = readingTensors(texts, this.facts.maskId)
    await this.server.infer(inputs, { session: this.session }, signal, ['infill_written'])
  }

  private async written(job: GapJob, signal: AbortSignal): Promise<WrittenGap> {
    const inputs = infillTensors(job, this.facts.maskId)
    const wanted = Object.keys(infillOutputs).filter((name) => name !== 'infill_partials')
    const tensors = await this.server.infer(inputs, { session: this.session }, signal, wanted)
    return understood(this.server, () => readWritten(tensors, job, this.facts.vocab))
  }

  async lookAgain(signal: AbortSignal): Promise<void> {
    const { facts, wholeGaps } = await offerOf(this.server, signal)
    // Weights may be newer: rows are computed again, since those before went with the server.
    const { weights: _, ...wanted } = this.facts
    for (const [key, value] of Object.entries(wanted)) {
      const found = facts[key as keyof PassFacts]
      if (found !== value)
        throw new UserError(
          `${this.shown}: it is back with another model: ${key} is ${String(found)}, it was ${String(value)}; start the editor anew where that is meant`,
        )
    }
    this.wholeGaps = wholeGaps
  }

  async close(): Promise<void> {
    this.server.close()
  }
}

async function factsOf(server: OipServer, signal: AbortSignal): Promise<PassFacts> {
  const nothing = requestTensors({ jobs: [], release: [] })
  const tensors = await server.infer(nothing, {}, signal, ['facts'])
  return understood(server, () => readFacts(tensors))
}

function understood<Value>(server: OipServer, read: () => Value): Value {
  try {
    return read()
  } catch (error) {
    if (error instanceof MalformedBody) throw server.failure(`its answer cannot be understood: ${error.message}`, error)
    throw error
  }
}

type Wanted = Readonly<Record<string, { readonly datatype: string; readonly shape: readonly number[] }>>

function checkTensors(
  { shown }: OipServer,
  part: 'input' | 'output',
  wanted: Wanted,
  found: readonly TensorFact[],
): void {
  const [one] = unlike(wanted, found)
  if (!one) return
  const { name, there, datatype, shape } = one
  if (!there) throw new UserError(`${shown}: it has no ${part} "${name}"; does it serve the step contract?`)
  throw new UserError(
    `${shown}: ${part} "${name}" is ${there.datatype} [${there.shape}], wanted ${datatype} [${shape}]`,
  )
}

/** What is wanted and is not there, or is there with another type. */
function unlike(wanted: Wanted, found: readonly TensorFact[]) {
  return Object.entries(wanted).flatMap(([name, { datatype, shape }]) => {
    const there = found.find((tensor) => tensor?.name === name)
    const fits = there?.datatype === datatype && there.shape?.length === shape.length
    return fits ? [] : [{ name, there, datatype, shape }]
  })
}
