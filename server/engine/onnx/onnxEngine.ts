/** The `onnx` engine as the main thread sees it: calls become messages, the worker computes. */
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { abortReason, BundleError, EngineError, EngineGoneError, throwIfAborted } from '../../base/errors.ts'
import type { Encoding, EncodingId, Engine, Piece, Prediction, StepJob } from '../engine.ts'
import type { EngineOptions, FromWorker, OpenReport, ToWorker } from './protocol.ts'

/**
 * Starts the worker and opens the graph there.
 *
 * @param onMoved told when a provider failed in a pass and the next one took over; its report is the engine's from then on.
 * @throws {BundleError} when no execution provider can open it.
 */
export async function openOnnxEngine(
  options: EngineOptions,
  onMoved: (report: OpenReport) => void = () => {},
): Promise<OnnxEngine> {
  keepToThisMachine()
  const worker = new Worker(workerFile(), { workerData: options, stdout: false, stderr: false })
  const report = await new Promise<OpenReport>((resolve, reject) => {
    const failed = (error: Error) =>
      reject(new EngineError(`the engine's thread failed: ${error.message}`, { cause: error }))
    worker.once('error', failed)
    worker.once('exit', (code) => failed(new Error(`it ended with code ${code}`)))
    worker.once('message', (message: FromWorker) => {
      worker.off('error', failed)
      if (message.kind === 'opened') resolve(message.report)
      else if (message.kind === 'openFailed') {
        reject(
          new BundleError(
            `${options.graphPath}: no execution provider can open it: ${message.message}; run "lacuna model verify"`,
          ),
        )
      }
    })
  })
  return new OnnxEngine(worker, report, onMoved)
}

/**
 * onnxruntime-node 1.30 reports every session it opens to its maker, and keeps a database of that in the user's cache
 * folder, unless told not to. It reads the environment of the process, which only the main thread can write.
 */
function keepToThisMachine(): void {
  process.env.ORT_DISABLE_TELEMETRY = '1'
}

/** As many threads as help: beyond a handful a step waits for memory, not for arithmetic. */
export function defaultThreads(): number {
  return Math.max(1, Math.min(6, availableParallelism()))
}

/** The bundled worker beside this file, or, when this file runs from source, the one in the build folder. */
function workerFile(): URL {
  const beside = new URL('./worker.js', import.meta.url)
  return existsSync(fileURLToPath(beside)) ? beside : new URL('../../../dist/worker.js', import.meta.url)
}

interface Waiting {
  resolve(value: never): void
  reject(error: Error): void
}

export class OnnxEngine implements Engine {
  report: OpenReport
  private readonly worker: Worker
  private readonly onMoved: (report: OpenReport) => void
  private readonly waiting = new Map<number, Waiting>()
  private nextRequest = 1
  private failure: EngineGoneError | undefined
  private closed: Promise<void> | undefined

  constructor(worker: Worker, report: OpenReport, onMoved: (report: OpenReport) => void) {
    this.worker = worker
    this.report = report
    this.onMoved = onMoved
    worker.on('message', (message: FromWorker) => this.receive(message))
    worker.on('error', (error) =>
      this.fail(new EngineGoneError(`the engine's thread failed: ${error.message}`, { cause: error })),
    )
    worker.on('exit', () => this.fail(new EngineGoneError('the engine is closed')))
  }

  async encode(pieces: readonly Piece[], signal: AbortSignal): Promise<Encoding[]> {
    return this.ask((request) => ({ kind: 'encode', request, pieces }), signal)
  }

  async step(jobs: readonly StepJob[], signal: AbortSignal): Promise<Prediction[]> {
    return this.ask((request) => ({ kind: 'step', request, jobs }), signal)
  }

  release(ids: readonly EncodingId[]): void {
    if (!this.failure && ids.length > 0) this.send({ kind: 'release', ids })
  }

  close(): Promise<void> {
    this.closed ??= new Promise((resolve) => {
      if (this.failure) return resolve()
      this.worker.once('exit', () => resolve())
      this.send({ kind: 'close' })
      this.fail(new EngineGoneError('the engine is closed'))
    })
    return this.closed
  }

  private ask<Result>(message: (request: number) => ToWorker, signal: AbortSignal): Promise<Result> {
    return new Promise((resolve, reject) => {
      throwIfAborted(signal)
      if (this.failure) throw this.failure
      const request = this.nextRequest++
      const abort = () => {
        this.waiting.delete(request)
        this.send({ kind: 'abort', request })
        reject(abortReason(signal))
      }
      const settle = () => {
        this.waiting.delete(request)
        signal.removeEventListener('abort', abort)
      }
      signal.addEventListener('abort', abort, { once: true })
      this.waiting.set(request, {
        resolve: (value) => {
          settle()
          resolve(value)
        },
        reject: (error) => {
          settle()
          reject(error)
        },
      })
      this.send(message(request))
    })
  }

  private send(message: ToWorker): void {
    this.worker.postMessage(message)
  }

  private receive(message: FromWorker): void {
    switch (message.kind) {
      case 'encoded': {
        const waiting = this.waiting.get(message.request)
        if (waiting) return waiting.resolve(message.encodings as never)
        return this.release(message.encodings.map(({ id }) => id)) // aborted while the answer was on its way
      }
      case 'stepped': {
        const waiting = this.waiting.get(message.request)
        if (waiting) return waiting.resolve(message.predictions as never)
        return this.release(message.predictions.flatMap(({ kept }) => kept.map(({ id }) => id)))
      }
      case 'failed': {
        const error = message.badInput
          ? new RangeError(message.message)
          : new EngineError(`a pass failed: ${message.message}`)
        return this.waiting.get(message.request)?.reject(error)
      }
      case 'moved':
        this.report = message.report
        return this.onMoved(message.report)
      case 'opened':
      case 'openFailed':
      case 'closed':
        return
    }
  }

  private fail(error: EngineGoneError): void {
    this.failure ??= error
    for (const { reject } of [...this.waiting.values()]) reject(error)
    this.waiting.clear()
  }
}
