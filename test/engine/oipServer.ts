/**
 * A real server of the Open Inference Protocol v2 on a local port: the step contract over any engine of this process, the
 * infill contract over any loop, and faults on demand.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Aborted } from '../../server/base/errors.ts'
import type { Engine } from '../../server/engine/engine.ts'
import type { GapLoop } from '../../server/engine/gapLoop.ts'
import { infillInputs, infillOutputs } from '../../server/engine/openInference/infillTensors.ts'
import type { PassFacts } from '../../server/engine/openInference/passes.ts'
import { PassesOverEngine } from '../../server/engine/openInference/passesOverEngine.ts'
import {
  answerTensors,
  factsTensor,
  readRequest,
  type Slot,
  stepInputs,
  stepOutputs,
} from '../../server/engine/openInference/stepTensors.ts'
import { headLength, readBody, type Tensors, writeBody } from '../../server/engine/openInference/tensors.ts'
import { asksToInfill, readGap, writtenTensors } from './infillServer.ts'

/** What goes wrong with one inference. */
export type Fault =
  | { readonly kind: 'dies' } // the connection is cut while the answer is computed
  | { readonly kind: 'status'; readonly status: number; readonly body?: string; readonly location?: string }
  | { readonly kind: 'cut' } // half of the answer
  | { readonly kind: 'garbled'; readonly bytes: Buffer; readonly headBytes?: number }
  | { readonly kind: 'slow'; readonly ms: number }

export interface OipServerOptions {
  readonly engine: Engine
  readonly facts: PassFacts
  readonly model?: string
  readonly mostRows?: number
  readonly token?: string
  /** Offers to fill gaps whole. */
  readonly loop?: GapLoop
}

export class LocalOipServer {
  /** Of the first session; handles of another one mean something else. */
  readonly passes: PassesOverEngine
  readonly faults: Fault[] = [] // of the next inferences, one each
  /** Inferences so far: bytes of request and answer, and how each ended. */
  readonly inferences: { request: number; answer: number; outcome: 'answered' | 'aborted' | 'failed' }[] = []
  readonly sessions = new Map<string, PassesOverEngine>()
  connections = 0
  ready = true
  metadata: Record<string, unknown> | undefined // instead of the right ones
  facts: PassFacts | undefined // instead of the right ones
  private readonly options: OipServerOptions
  private http: Server | undefined
  private port = 0

  constructor(options: OipServerOptions) {
    this.options = options
    this.passes = new PassesOverEngine(options.engine, options.facts, options.mostRows)
  }

  get model(): string {
    return this.options.model ?? this.options.facts.name
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${this.port}`)
  }

  /** On the port it had before, if any. */
  async start(): Promise<this> {
    const http = createServer((request, response) => void this.answer(request, response))
    http.on('connection', () => this.connections++)
    await new Promise<void>((resolve) => http.listen(this.port, '127.0.0.1', resolve))
    this.port = (http.address() as AddressInfo).port
    this.http = http
    return this
  }

  /** All connections are cut, and all that was kept is gone. */
  async die(): Promise<void> {
    const { http } = this
    this.http = undefined
    for (const passes of [this.passes, ...this.sessions.values()]) passes.clear()
    await new Promise<void>((resolve) => {
      if (!http) return resolve()
      http.close(() => resolve())
      http.closeAllConnections()
    })
  }

  async close(): Promise<void> {
    await this.die()
    await this.options.engine.close()
  }

  private passesOf(session: string): PassesOverEngine {
    const { engine, facts, mostRows } = this.options
    const own = () => (this.sessions.size === 0 ? this.passes : new PassesOverEngine(engine, facts, mostRows))
    const passes = this.sessions.get(session) ?? own()
    this.sessions.set(session, passes)
    return passes
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const json = (status: number, value: unknown) =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    const { token } = this.options
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`)
      return json(401, { error: 'no valid token' })
    const at = `/v2/models/${this.model}`
    switch (request.url) {
      case `${at}/ready`:
        return this.ready ? json(200, { name: this.model, ready: true }) : json(503, { error: 'not ready' })
      case at:
        return json(200, this.metadata ?? { name: this.model, platform: 'test', ...metadata(this.options.loop) })
      case `${at}/infer`:
        return this.infer(request, response)
      default:
        return json(404, { error: `unknown: ${request.url}` })
    }
  }

  private async infer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const body = Buffer.concat(pieces)
    const record: LocalOipServer['inferences'][number] = { request: body.length, answer: 0, outcome: 'failed' }
    this.inferences.push(record)
    const fault = this.faults.shift()
    if (fault?.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, fault.ms))
    if (fault?.kind === 'dies') return void response.destroy()
    if (fault?.kind === 'status') {
      const headers = fault.location === undefined ? {} : { location: fault.location }
      return void response.writeHead(fault.status, headers).end(fault.body)
    }
    if (fault?.kind === 'garbled') {
      const headers = fault.headBytes === undefined ? {} : { [headLength]: String(fault.headBytes) }
      return void response.writeHead(200, headers).end(fault.bytes)
    }
    const gone = new AbortController()
    response.once('close', () => {
      if (!response.writableFinished) gone.abort(new Aborted('cancelled'))
    })
    try {
      const { headBytes, bytes } = writeBody('outputs', await this.outputs(request, body, gone.signal))
      record.answer = bytes.length
      response.writeHead(200, { [headLength]: String(headBytes), 'content-length': String(bytes.length) })
      if (fault?.kind === 'cut') {
        response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy())
        return
      }
      record.outcome = 'answered'
      response.end(bytes)
    } catch (error) {
      record.outcome = error instanceof Aborted ? 'aborted' : 'failed'
      const status = error instanceof RangeError ? 400 : 500
      if (!response.destroyed) response.writeHead(status).end(JSON.stringify({ error: String(error) }))
    }
  }

  private async outputs(request: IncomingMessage, body: Buffer, signal: AbortSignal) {
    const { loop } = this.options
    const { head, tensors } = readBody('inputs', body, Number(request.headers[headLength]))
    const { session } = head.parameters as { session?: string }
    const passes = session === undefined ? this.passes : this.passesOf(session)
    const wanted = new Set((head.outputs as { name: string }[] | undefined)?.map(({ name }) => name))
    const all =
      loop && asksToInfill(tensors)
        ? await this.written(loop, tensors, signal)
        : await this.step(passes, tensors, signal)
    const outputs = Object.fromEntries(Object.entries(all).filter(([name]) => wanted.has(name)))
    return { head: { model_name: this.model }, tensors: outputs }
  }

  private async step(passes: PassesOverEngine, tensors: Tensors, signal: AbortSignal): Promise<Tensors> {
    const { facts } = this.options
    const answer = await passes.run(readRequest(tensors), signal)
    return { ...answerTensors(answer, facts.vocab), facts: factsTensor(this.facts ?? facts) }
  }

  private async written(loop: GapLoop, tensors: Tensors, signal: AbortSignal): Promise<Tensors> {
    const gap = readGap(tensors, this.options.facts.maskId)
    if (gap.slots.now > 0) return writtenTensors((await loop.infill(gap, signal))!)
    await loop.readAhead({ startIds: gap.prefixIds.slice(0, -gap.known), suffixIds: gap.suffixIds }, signal)
    return writtenTensors({ ids: [], rows: { topIds: [], topLogProbs: [], setLogProbs: [] }, passes: 0 })
  }
}

function metadata(loop: GapLoop | undefined) {
  const list = (slots: Readonly<Record<string, Slot>>) =>
    Object.entries(slots).map(([name, { datatype, shape }]) => ({ name, datatype, shape }))
  return {
    inputs: list({ ...stepInputs, ...(loop ? infillInputs : {}) }),
    outputs: list({ ...stepOutputs, ...(loop ? infillOutputs : {}) }),
  }
}
