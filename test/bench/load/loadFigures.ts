/** Figures of what was asked. Pure. */
import { median, quantile, rounded } from '../stats.ts'
import { type Asked, isAnswered } from './asked.ts'

/** @param budgetMs when an editor with default settings has its answer at the latest. */
export function loadFigures(asked: readonly Asked[], keys: number, seconds: number, budgetMs: number) {
  const answered = asked.filter(isAnswered)
  const byModel = answered.filter((one) => one.byModel)
  const count = (outcome: Asked['outcome']) => asked.filter((one) => one.outcome === outcome).length
  const errors = new Map<string, number>()
  for (const { error } of asked) if (error !== undefined) errors.set(error, (errors.get(error) ?? 0) + 1)
  return {
    keys,
    requests: asked.length,
    requests_a_second: rounded(asked.length / seconds, 2),
    answered: answered.length,
    shown: count('offer'),
    superseded_or_late: count('superseded'),
    failed: count('failed'),
    errors: Object.fromEntries(errors),
    by_the_model: byModel.length,
    completions_a_second: rounded(byModel.length / seconds, 2),
    answer_of_the_model_ms: timesOf(byModel),
    known_or_partial_answer_ms: timesOf(answered.filter((one) => !one.byModel)),
    within_budget_percent: rounded(
      (100 * byModel.filter((one) => msOf(one) <= budgetMs).length) / Math.max(1, byModel.length),
    ),
  }
}

const msOf = ({ atMs, endMs }: Asked) => endMs - atMs

/** Milliseconds from request to answer. */
export function timesOf(asked: readonly Asked[]) {
  if (asked.length === 0) return { count: 0 }
  const ms = asked.map(msOf)
  const of = (q: number) => rounded(quantile(ms, q), 0)
  return { count: ms.length, p50: rounded(median(ms), 0), p95: of(0.95), most: of(1) }
}
