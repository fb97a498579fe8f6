/** How canvases are written by default, and every sampler at the settings that spread it from few steps to one token a step. */
import type { Schedule } from '../../server/denoise/schedule.ts'

export interface Setting {
  readonly name: string
  readonly sampler: string // what it is a setting of
  /** Of canvases whose rows all see each other; without, they write from the left and look ahead (`drafted`). */
  readonly schedule?: Schedule
  /** Whether other text has a say, where canvases write from the left. */
  readonly hears?: boolean
}

const greedy = { temperature: 0, seed: 1 }
const thresholds = [0.5, 0.7, 0.9, 0.99]
const stepCounts = [2, 4, 8, 16] // planned for each canvas

export const samplerSettings: readonly Setting[] = [
  { name: 'drafted, the file heard (the default)', sampler: 'drafted', hears: true },
  { name: 'drafted, nothing else heard', sampler: 'drafted', hears: false },
  ...thresholds.map((threshold) =>
    setting('leftmost-first', threshold, { kind: 'leftmost-first', threshold, window: 4 }),
  ),
  setting('leftmost-first', 'one a step', { kind: 'leftmost-first', threshold: 1, window: 1 }),
  ...thresholds.map((threshold) => setting('surest-first', threshold, { kind: 'surest-first', threshold })),
  setting('surest-first', 'one a step', { kind: 'surest-first', threshold: 1 }),
  ...(['entropy', 'maskgit-plus', 'topk-margin', 'origin'] as const).flatMap((kind) =>
    stepCounts.map((steps) => setting(kind, `${steps} steps`, { kind, steps, ...greedy })),
  ),
  ...[2, 1, 0.5, 0].map((factor) => setting('factor', factor, { kind: 'factor', factor, ...greedy })),
  ...[2, 0.5, 0.1, 0].map((bound) => setting('entropy-bound', bound, { kind: 'entropy-bound', bound, ...greedy })),
  ...[4, 2, 1].map((slots) =>
    setting('blocks', `of ${slots}, surest-first 0.9`, {
      kind: 'blocks',
      slots,
      inner: { kind: 'surest-first', threshold: 0.9 },
    }),
  ),
]

function setting(sampler: string, value: string | number, schedule: Schedule): Setting {
  return { name: `${sampler} ${value}`, sampler, schedule }
}
