/**
 * The worker thread of the `onnx` engine: opens the graph, keeps encodings, runs passes one after the other.
 *
 * A pass is the unit of cancellation and of fairness: steps go before encoding, and messages are read between passes.
 */
import { parentPort, workerData } from 'node:worker_threads'
import * as ort from 'onnxruntime-node'
import { messageOf } from '../../base/errors.ts'
import { EncodeTask } from './encodeTask.ts'
import { EncodingStore } from './encodings.ts'
import { PassRunner } from './pass.ts'
import type { EngineOptions, FromWorker, OpenReport, ToWorker } from './protocol.ts'
import { StepTask } from './stepTask.ts'
import type { Task, TaskParts } from './task.ts'

const port = parentPort!
const options = workerData as EngineOptions
const say = (message: FromWorker) => port.postMessage(message)

class Worker {
  private readonly tasks: Task[] = []
  private readonly session: ort.InferenceSession
  private readonly parts: TaskParts
  private running = false
  private closing = false

  constructor(session: ort.InferenceSession) {
    this.session = session
    this.parts = { store: new EncodingStore(), runner: new PassRunner(session, options), options }
  }

  receive(message: ToWorker): void {
    switch (message.kind) {
      case 'encode':
        return this.begin(new EncodeTask(message.request, message.pieces, this.parts))
      case 'step':
        return this.begin(new StepTask(message.request, message.jobs, this.parts))
      case 'abort': {
        const task = this.tasks.find(({ request }) => request === message.request)
        if (task) this.end(task).drop()
        return
      }
      case 'release':
        return this.parts.store.release(message.ids)
      case 'close':
        this.closing = true
        return this.wake()
    }
  }

  private begin(task: Task): void {
    this.tasks.push(task)
    this.wake()
  }

  private end(task: Task): Task {
    const at = this.tasks.indexOf(task)
    if (at >= 0) this.tasks.splice(at, 1)
    return task
  }

  private wake(): void {
    if (this.running) return
    this.running = true
    void this.loop()
  }

  private async loop(): Promise<void> {
    while (!this.closing) {
      const task = this.tasks.find(({ kind }) => kind === 'step') ?? this.tasks[0]
      if (!task) break
      try {
        const answer = await task.advance()
        if (answer) {
          this.end(task)
          say(answer)
        }
      } catch (error) {
        this.end(task).drop()
        const badInput = error instanceof RangeError
        say({ kind: 'failed', request: task.request, message: messageOf(error), badInput })
      }
      await new Promise((resolve) => setImmediate(resolve)) // lets messages in
    }
    this.running = false
    if (!this.closing) return
    this.closing = false
    await this.session.release()
    say({ kind: 'closed' })
    port.close()
  }
}

/** Providers are tried one at a time: a list with one that is missing throws instead of falling back. */
async function open(): Promise<{ session: ort.InferenceSession; report: OpenReport }> {
  const passedOver: { provider: string; reason: string }[] = []
  const started = performance.now()
  for (const provider of options.providers) {
    try {
      const session = await ort.InferenceSession.create(options.graphPath, {
        executionProviders: [provider],
        intraOpNumThreads: options.deterministic ? 1 : options.threads,
        executionMode: 'sequential',
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
        // Shapes vary from pass to pass: a pattern would be kept for each, and an arena grows to the sum of their peaks.
        enableMemPattern: false,
        enableCpuMemArena: false,
        extra: {
          session: { intra_op: { allow_spinning: options.deterministic ? '0' : '1' }, force_spinning_stop: '1' },
        },
      })
      return { session, report: { provider, passedOver, loadMs: performance.now() - started } }
    } catch (error) {
      passedOver.push({ provider, reason: messageOf(error) })
    }
  }
  throw new Error(passedOver.map(({ provider, reason }) => `${provider}: ${reason}`).join('; '))
}

open().then(
  ({ session, report }) => {
    const worker = new Worker(session)
    port.on('message', (message: ToWorker) => worker.receive(message))
    say({ kind: 'opened', report })
  },
  (error) => {
    say({ kind: 'openFailed', message: messageOf(error) })
    port.close()
  },
)
