/** What a person gains, and what it costs, from a recording played live. */
import { median, quantile, rounded } from '../stats.ts'
import { agreement } from './ghost.ts'
import type { Answered, Played } from './live.ts'

/** An answer in less needs no pass (one takes more than 20 ms): it was kept, or typed into. */
const withoutModelMs = 10

/** Characters of ghost text when it appeared. */
const lengths = [
  ['1 to 2', 1, 2],
  ['3 to 5', 3, 5],
  ['6 to 11', 6, 11],
  ['12 or more', 12, Number.POSITIVE_INFINITY],
] as const

/** @param alone the same recordings with completions off: what the editor itself takes of the processor. */
export function liveFigures(played: Played, alone: Pick<Played, 'processorMs' | 'typed'>) {
  const { keys, recordedKeys, typed, taken, ghosts, flickers, answers, passes, processorMs, wallMs } = played
  const per100 = (count: number) => rounded((100 * count) / keys)
  const share = (count: number, of: number) => rounded((100 * count) / of)
  const wrong = ghosts.filter(({ verdict }) => verdict === 'wrong')
  const right = ghosts.length - wrong.length
  const offers = answers.filter(({ kind }) => kind === 'offer')
  const isKept = ({ requestMs }: Answered) => requestMs < withoutModelMs
  const count = (kind: Answered['kind'], kept: boolean) =>
    answers.filter((answer) => answer.kind === kind && isKept(answer) === kept).length
  const ownMs = alone.processorMs / alone.typed
  return {
    keys_recorded: recordedKeys,
    keys_pressed: keys,
    keystrokes_saved_percent: share(recordedKeys - keys, recordedKeys),
    taken: taken.length,
    taken_characters: taken.reduce((sum, length) => sum + length, 0),
    ghosts_per_100_keys: per100(ghosts.length),
    wrong_ghosts_per_100_keys: per100(wrong.length),
    flickers_per_100_keys: per100(flickers.length),
    flickers_withdrawn: flickers.filter(({ from, to }) => from.startsWith(to)).length,
    ghosts_right_percent: share(right, ghosts.length),
    of_these_to_the_line_end: ghosts.filter(({ verdict }) => verdict === 'whole').length,
    wrong_with_three_right_characters: wrong.filter(({ text, wanted }) => agreement(text, wanted) >= 3).length,
    ghosts_by_characters_shown: Object.fromEntries(
      lengths.map(([name, least, most]) => {
        const those = ghosts.filter(({ text }) => text.length >= least && text.length <= most)
        return [name, { ghosts: those.length, right: those.filter(({ verdict }) => verdict !== 'wrong').length }]
      }),
    ),
    requests: {
      ghost_by_model: count('offer', false),
      ghost_by_type_through: count('offer', true),
      nothing_by_model: count('nothing', false),
      nothing_kept: count('nothing', true),
      superseded_or_late: count('cancelled', true) + count('cancelled', false),
    },
    key_to_ghost_ms: figuresOf(offers.filter((answer) => !isKept(answer)).map(({ ms }) => ms)),
    type_through_ms: figuresOf(offers.filter(isKept).map(({ requestMs }) => requestMs)),
    passes_per_typed_character: rounded(passes / typed, 2),
    processor_ms_per_typed_character: rounded(processorMs / typed - ownMs),
    editor_ms_per_typed_character: rounded(ownMs, 2),
    processor_percent: share(processorMs, wallMs),
    seconds: rounded(wallMs / 1000),
  }
}

function figuresOf(values: readonly number[]) {
  if (values.length === 0) return { count: 0 }
  return { count: values.length, p50: rounded(median(values), 2), p95: rounded(quantile(values, 0.95), 2) }
}

/** Several runs as one. */
export function joined(runs: readonly Played[]): Played {
  const sum = (figure: (run: Played) => number) => runs.reduce((total, run) => total + figure(run), 0)
  return {
    keys: sum(({ keys }) => keys),
    recordedKeys: sum(({ recordedKeys }) => recordedKeys),
    typed: sum(({ typed }) => typed),
    taken: runs.flatMap(({ taken }) => taken),
    ghosts: runs.flatMap(({ ghosts }) => ghosts),
    flickers: runs.flatMap(({ flickers }) => flickers),
    answers: runs.flatMap(({ answers }) => answers),
    passes: sum(({ passes }) => passes),
    processorMs: sum(({ processorMs }) => processorMs),
    wallMs: sum(({ wallMs }) => wallMs),
  }
}
