/**
 * Several processes at once: this one hands out cases and writes, the others ask and score. Each opens its own model, so each
 * takes that memory, and they share the cores.
 */
import { type ChildProcess, fork } from 'node:child_process'
import type { Answerer, Benchmark, Case, Result } from './benchmark.ts'
import { resultOf } from './runCases.ts'

/** One case for one answerer; names only, since both sides know the same cases. */
export interface Task {
  readonly key: string
  readonly answerer: string
}

/** No case has no key. */
const end: Task = { key: '', answerer: '' }

type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly result: Result }
  | { readonly kind: 'failed'; readonly message: string }

/** @throws {Error} the first failure of any of them, or when one ends before its work does. */
export async function runInProcesses(
  { file, argv, count }: { readonly file: string; readonly argv: readonly string[]; readonly count: number },
  tasks: readonly Task[],
  onResult: (result: Result) => void,
): Promise<void> {
  const waiting = [...tasks]
  const children: ChildProcess[] = []
  const work = () =>
    new Promise<void>((resolve, reject) => {
      const child = fork(file, [...argv, '--worker'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
      children.push(child)
      let isDone = false
      const next = () => {
        const task = waiting.shift()
        isDone = task === undefined
        child.send(task ?? end)
      }
      child.on('message', (message: FromWorker) => {
        switch (message.kind) {
          case 'ready':
            return next()
          case 'result':
            onResult(message.result)
            return next()
          case 'failed':
            return reject(new Error(message.message))
        }
      })
      child.on('error', reject)
      child.on('exit', (code) =>
        isDone ? resolve() : reject(new Error(`a process ended with ${code} before its work did`)),
      )
    })
  try {
    await Promise.all(Array.from({ length: Math.min(count, tasks.length) }, work))
  } finally {
    for (const child of children) if (child.exitCode === null) child.kill()
  }
}

/** The other side: asks and scores what it is sent, until it is sent nothing. */
export async function serveTasks(benchmark: Benchmark, answerers: readonly Answerer[]): Promise<void> {
  const send = (message: FromWorker) => void process.send!(message)
  const gaps = new Map<string, Case>(benchmark.cases.map((gap) => [gap.key, gap]))
  await new Promise<void>((resolve) => {
    process.on('message', (task: Task) => {
      if (task.key === end.key) return resolve()
      const answerer = answerers.find(({ name }) => name === task.answerer)!
      resultOf(benchmark, answerer, gaps.get(task.key)!).then(
        (result) => send({ kind: 'result', result }),
        (error: unknown) => send({ kind: 'failed', message: `${task.key}: ${String(error)}` }),
      )
    })
    send({ kind: 'ready' })
  })
  process.disconnect()
}
