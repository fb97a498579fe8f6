/** What was measured of samplers, as rows, text, plot and the table of README.md. */
import type { Plot, Series } from './plot.ts'
import type { Setting } from './samplerSettings.ts'
import { median, rounded } from './stats.ts'

/** One place: what each setting made of it. */
export interface Place {
  readonly place: string
  readonly results: Readonly<Record<string, Result>>
}

export interface Result {
  readonly ms: number
  readonly steps: number
  readonly tokens: number
  readonly exact: boolean
}

export function rowOf({ name, sampler }: Setting, places: readonly Place[]) {
  const results = places.flatMap(({ results }) => results[name] ?? [])
  const mean = (of: (result: Result) => number) =>
    rounded(results.reduce((sum, result) => sum + of(result), 0) / results.length, 2)
  const exactLines = results.filter(({ exact }) => exact).length
  return {
    name,
    sampler,
    steps: mean(({ steps }) => steps),
    ms_p50: median(results.map(({ ms }) => ms)),
    ms_mean: rounded(mean(({ ms }) => ms)),
    tokens: mean(({ tokens }) => tokens),
    tokens_per_step: rounded(mean(({ tokens }) => tokens) / mean(({ steps }) => steps), 2),
    exact: rounded((100 * exactLines) / results.length),
    exact_lines: exactLines,
    places: results.length,
  }
}

export type Row = ReturnType<typeof rowOf>

export function plotOf(title: string, table: readonly Row[]): Plot {
  const samplers = [...new Set(table.map(({ sampler }) => sampler))]
  const seriesOf = (value: (row: Row) => number): Series[] =>
    samplers.map((name) => ({
      name,
      points: table.filter(({ sampler }) => sampler === name).map((row) => [row.steps, value(row)] as const),
    }))
  const x = { label: 'steps, mean of a completion', scale: 'log2' as const }
  return {
    title,
    panels: [
      {
        title: 'Time',
        x,
        y: { label: 'ms, mean of a completion', scale: 'linear' as const },
        series: seriesOf(({ ms_mean }) => ms_mean),
      },
      {
        title: 'Exactly the line that stood there',
        x,
        y: { label: '% of the gaps', scale: 'linear' as const },
        series: seriesOf(({ exact }) => exact),
      },
    ],
  }
}

export function asText(table: readonly Row[]): string {
  const head = ['setting', 'steps', 'ms p50', 'ms mean', 'tokens', 'a step', 'exact']
  const lines = table.map((row) => [
    row.name,
    ...[row.steps.toFixed(1), row.ms_p50.toFixed(0), row.ms_mean.toFixed(0), row.tokens.toFixed(1)],
    ...[row.tokens_per_step.toFixed(2), `${row.exact_lines}/${row.places}`],
  ])
  return `${[head, ...lines].map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(34) : cell.padStart(9))).join('')).join('\n')}\n`
}

const [begin, end] = ['<!-- samplers:begin', '<!-- samplers:end -->']

/**
 * Each sampler where it gives the most exact lines, in the fewest steps among equals.
 *
 * @throws {Error} when README.md has no place for it.
 */
export function intoReadme(readme: string, table: readonly Row[]): string {
  const from = readme.indexOf('\n', readme.indexOf(begin)) + 1
  const to = readme.indexOf(end)
  if (!readme.includes(begin) || to < from) throw new Error(`README.md: "${begin} … -->" and "${end}" are wanted`)
  const best = [...new Set(table.map(({ sampler }) => sampler))].map(
    (name) =>
      table
        .filter(({ sampler }) => sampler === name)
        .toSorted((a, b) => b.exact_lines - a.exact_lines || a.steps - b.steps)[0]!,
  )
  const lines = best.map(
    ({ name, steps, tokens, ms_mean, exact_lines, places }) =>
      `| ${name} | ${steps.toFixed(1)} | ${tokens.toFixed(1)} | ${ms_mean.toFixed(0)} | ${exact_lines} of ${places} |`,
  )
  const head = ['| sampler, where it is best | steps | tokens | ms | exact lines |', '|---|---|---|---|---|']
  return `${readme.slice(0, from)}${[...head, ...lines].join('\n')}\n${readme.slice(to)}`
}
