/**
 * The worker thread of the `onnx` engine: opens the graph, keeps encodings, runs passes one after the other.
 *
 * A pass is the unit of cancellation and of fairness: steps go before encoding, and messages are read between passes.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { messageOf } from '../../base/errors.ts'
import { EncodeTask } from './encodeTask.ts'
import { EncodingStore } from './encodings.ts'
import { openSessions } from './openSessions.ts'
import type { EngineOptions, FromWorker, ToWorker } from './protocol.ts'
import { ProviderChain } from './providerChain.ts'
import { StepTask } from './stepTask.ts'
import type { Task, TaskParts } from './task.ts'

const port = parentPort!
const options = workerData as EngineOptions
const say = (message: FromWorker) => port.postMessage(message)

class Worker {
  private readonly tasks: Task[] = []
  private readonly chain: ProviderChain
  private readonly parts: TaskParts
  private running = false
  private closing = false

  constructor(chain: ProviderChain) {
    this.chain = chain
    this.parts = { store: new EncodingStore(), runner: chain, options }
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
    await this.chain.release()
    say({ kind: 'closed' })
    port.close()
  }
}

const chain = new ProviderChain(options, { openSessions, onMoved: (report) => say({ kind: 'moved', report }) })
chain.open().then(
  (report) => {
    const worker = new Worker(chain)
    port.on('message', (message: ToWorker) => worker.receive(message))
    say({ kind: 'opened', report })
  },
  (error) => {
    say({ kind: 'openFailed', message: messageOf(error) })
    port.close()
  },
)
