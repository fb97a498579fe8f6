/** Cases to answerers, answers to scores, scores to the file. Each answerer is asked in turn, so that a beginning of a run has all. */
import type { Answer, Answerer, Benchmark, Case, Result } from './benchmark.ts'

/** Asks and scores; what it costs and what came of it, ready to be written. */
export async function resultOf(benchmark: Benchmark, answerer: Answerer, gap: Case): Promise<Result> {
  const answer = await answerer.ask(gap)
  const score = await benchmark.score(gap, answer)
  return {
    case: gap.key,
    group: gap.group,
    answerer: answerer.name,
    text: answer.edit?.text ?? '',
    score,
    ...costOf(answer),
  }
}

function costOf({ steps, rows, tokens, encodeMs, ms }: Answer) {
  const short = (value: number) => Number(value.toPrecision(4))
  return {
    ...(steps === undefined ? {} : { steps }),
    ...(rows === undefined ? {} : { rows }),
    ...(tokens === undefined ? {} : { tokens }),
    ...(encodeMs === undefined ? {} : { encodeMs: short(encodeMs) }),
    ms: short(ms),
  }
}

/** Groups in turn, so that a run that is cut short has some of each. */
export function inTurns(cases: readonly Case[]): Case[] {
  const groups = [...new Set(cases.map(({ group }) => group))].map((name) =>
    cases.filter(({ group }) => group === name),
  )
  const most = Math.max(0, ...groups.map(({ length }) => length))
  return Array.from({ length: most }, (_, i) => groups.flatMap((own) => own.slice(i, i + 1))).flat()
}

/** Progress on stderr: how far, how fast, how long still. */
export function progress(name: string, total: number, write: (line: string) => void, now: () => number) {
  const began = now()
  let done = 0
  return () => {
    done++
    const each = (now() - began) / done / 1000
    const left = each * (total - done)
    write(`\r${name}: ${done} of ${total}, ${each.toFixed(1)} s each, ${Math.ceil(left / 60)} min left  `)
    if (done === total) write('\n')
  }
}
