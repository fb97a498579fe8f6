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
 * request or a newer one. Waits are counted from when the server was back.
 */
export function outageFigures(asked: readonly Asked[], { beganMs, backMs }: Outage) {
  const until = backMs ?? Number.POSITIVE_INFINITY
  const during = asked.filter(({ atMs, endMs }) => endMs >= beganMs && atMs < until)
  const hit = asked.filter(({ outcome, endMs }) => outcome === 'failed' && endMs >= beganMs)
  const waits = hit.flatMap((one) => {
    const later = asked.filter((other) => other.editor === one.editor && isAnswered(other) && other.endMs > one.endMs)
    const first = later.reduce((least, { endMs }) => Math.min(least, endMs), Number.POSITIVE_INFINITY)
    return later.length > 0 ? [Math.max(0, first - Math.max(until, one.endMs))] : []
  })
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
    ...(waits.length > 0 ? { after_it_was_back_s: secondsOf(waits) } : {}),
  }
}

function secondsOf(ms: readonly number[]) {
  const [p50, p95, most] = [median(ms), quantile(ms, 0.95), Math.max(...ms)].map((value) => rounded(value / 1000))
  return { p50, p95, most }
}
