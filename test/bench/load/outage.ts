/** What a restart of the server did to those who asked. Pure. */
import { median, quantile, rounded } from '../stats.ts'
import { type Asked, isAnswered } from './asked.ts'
import { timesOf } from './loadFigures.ts'

/** Times in milliseconds since the run began. */
export interface Outage {
  readonly beganMs: number
  readonly backMs: number | undefined // undefined: it never came back
}

/**
 * A request is hit when it failed after the outage began. It is lost when its editor got no answer afterwards, to this
 * request or a newer one.
 */
export function outageFigures(asked: readonly Asked[], { beganMs, backMs }: Outage) {
  const until = backMs ?? Number.POSITIVE_INFINITY
  const during = asked.filter(({ atMs, endMs }) => endMs >= beganMs && atMs < until)
  const hit = asked.filter(({ outcome, endMs }) => outcome === 'failed' && endMs >= beganMs)
  const later = hit.map((one) =>
    asked
      .filter((other) => other.editor === one.editor && isAnswered(other) && other.endMs > one.endMs)
      .reduce((first, { endMs }) => Math.min(first, endMs), Number.POSITIVE_INFINITY),
  )
  const waits = later.filter(Number.isFinite).map((endMs, i) => endMs - Math.max(until, hit[i]!.endMs))
  return {
    down_s: backMs === undefined ? undefined : rounded((backMs - beganMs) / 1000),
    asked_while_down: {
      requests: during.length,
      answered: during.filter(isAnswered).length,
      superseded_or_late: during.filter(({ outcome }) => outcome === 'superseded').length,
      failed: during.filter(({ outcome }) => outcome === 'failed').length,
    },
    hit: hit.length,
    editors_hit: new Set(hit.map(({ editor }) => editor)).size,
    answered_again: waits.length,
    lost_for_good: hit.length - waits.length,
    answer_before_ms: timesOf(asked.filter((one) => one.byModel && isAnswered(one) && one.endMs < beganMs)),
    answer_afterwards_ms: timesOf(asked.filter((one) => one.byModel && isAnswered(one) && one.atMs >= until)),
    after_it_was_back_s: {
      p50: rounded(median(waits) / 1000),
      p95: rounded(quantile(waits, 0.95) / 1000),
      most: rounded(Math.max(...waits) / 1000),
    },
  }
}
