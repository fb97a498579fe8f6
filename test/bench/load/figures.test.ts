/** The figures of a load run, by hand. */
import { describe, expect, test } from 'vitest'
import type { Asked } from './asked.ts'
import { loadFigures } from './loadFigures.ts'
import { outageFigures } from './outage.ts'
import { readMetrics, ServerFigures } from './serverFigures.ts'

const asked = (editor: number, atMs: number, endMs: number, outcome: Asked['outcome'], byModel = true): Asked => ({
  ...{ editor, atMs, endMs, outcome, byModel },
  ...(outcome === 'failed' ? { error: 'gone' } : {}),
})

test('what was asked is counted by how it ended, and timed where the model answered', () => {
  const all = [
    asked(0, 0, 100, 'offer'),
    asked(0, 100, 900, 'nothing'),
    asked(1, 0, 3, 'offer', false),
    asked(1, 5, 9, 'superseded'),
    asked(1, 9, 10, 'failed'),
  ]
  expect(loadFigures(all, 7, 10, 500)).toMatchObject({
    ...{ keys: 7, requests: 5, requests_a_second: 0.5, answered: 3, shown: 2, superseded_or_late: 1, failed: 1 },
    ...{ errors: { gone: 1 }, by_the_model: 2, within_budget_percent: 50 },
    answer_of_the_model_ms: { count: 2, p50: 800, p95: 800, most: 800 },
    known_or_partial_answer_ms: { count: 1, p50: 3 },
  })
})

describe('a restart', () => {
  const outage = { beganMs: 1000, backMs: 5000 }

  test('hits who fails while it lasts, and is over with the next answer of that editor', () => {
    const all = [
      asked(0, 1100, 1200, 'failed'),
      asked(0, 1500, 1600, 'failed'),
      asked(0, 4800, 7000, 'nothing'),
      asked(1, 900, 1300, 'failed'),
      asked(1, 2000, 2100, 'superseded'),
      asked(1, 8000, 9000, 'offer'),
      asked(2, 100, 200, 'failed'), // before
    ]
    expect(outageFigures(all, outage)).toEqual({
      down_s: 4,
      asked_while_down: { requests: 5, answered: 1, superseded_or_late: 1, failed: 3 },
      ...{ hit: 3, editors_hit: 2, answered_again: 3, lost_for_good: 0 },
      answer_before_ms: { count: 0 },
      answer_afterwards_ms: { count: 1, p50: 1000, p95: 1000, most: 1000 },
      after_it_was_back_s: { p50: 2, p95: 4, most: 4 },
    })
  })

  test('loses what nobody answers', () => {
    const all = [
      asked(0, 900, 950, 'offer'),
      asked(0, 1100, 1200, 'failed'),
      asked(1, 5200, 5400, 'failed'),
      asked(1, 6000, 6100, 'offer'),
    ]
    expect(outageFigures(all, outage)).toMatchObject({
      ...{ hit: 2, answered_again: 1, lost_for_good: 1 },
      after_it_was_back_s: { p50: 0.7, p95: 0.7, most: 0.7 },
    })
    expect(outageFigures(all.slice(0, 2), outage)).not.toHaveProperty('after_it_was_back_s')
  })
})

describe('what the server tells', () => {
  const told = (passes: readonly number[], waiting = 0) => {
    const upTo = (most: number) => passes.filter((jobs) => jobs <= most).length
    return readMetrics(`# HELP lacuna_pass_jobs Jobs in a pass
lacuna_pass_jobs_bucket{le="1.0"} ${upTo(1)}
lacuna_pass_jobs_bucket{le="2.0"} ${upTo(2)}
lacuna_pass_jobs_bucket{le="4.0"} ${upTo(4)}
lacuna_pass_jobs_bucket{le="+Inf"} ${passes.length}
lacuna_pass_jobs_count ${passes.length}
lacuna_pass_jobs_sum ${passes.reduce((sum, jobs) => sum + jobs, 0)}
lacuna_pass_seconds_sum ${passes.length / 10}
lacuna_requests_total{outcome="answered"} 5.0
lacuna_waiting_requests ${waiting}
process_resident_memory_bytes 2e+06
`)
  }

  test('is counted from the first reading on', () => {
    const server = new ServerFigures()
    server.take(told([1, 1, 4]))
    server.take(told([1, 1, 4, 1, 2, 2, 3], 9))
    expect(server.figures(2)).toMatchObject({
      ...{ passes: 4, jobs: 8, jobs_a_pass: 2, jobs_a_second: 4, busy_percent: 20, ms_a_pass: 100, most_waiting: 9 },
      passes_by_jobs: { 1: 1, 2: 2, '3 to 4': 1 },
      ...{ most_mb: 2, requests: { answered: 0 } },
    })
  })

  test('goes on when the server starts anew', () => {
    const server = new ServerFigures()
    server.take(told([2]))
    server.take(told([2, 2, 2]))
    server.take(told([1]))
    server.take(told([1, 1]))
    expect(server.figures(1)).toMatchObject({ passes: 4, jobs: 6, passes_by_jobs: { 1: 2, 2: 2 } })
  })
})
