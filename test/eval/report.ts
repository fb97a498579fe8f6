/** From results to figures, and to a table that a person reads. Every figure stands beside its number of cases. Pure. */
import { median, rounded } from '../bench/stats.ts'
import type { Result } from './benchmark.ts'
import { bootstrap, meanOf } from './bootstrap.ts'

export interface Share {
  readonly percent: number
  readonly interval: readonly [number, number] // 95 %, bootstrap over cases
  readonly cases: number // of which it is told
}

export interface Row {
  readonly group: string
  readonly answerer: string
  readonly cases: number
  readonly shares: Readonly<Record<string, Share>>
  readonly steps?: number // forward passes a completion, mean
  readonly steps_per_token?: number // over all committed tokens
  readonly rows?: number // computed a completion, mean
  readonly ms_p50: number
  readonly encode_ms_p50?: number
}

/** The first answerer against another one, over the cases that both have answered. */
export interface Difference {
  readonly group: string
  readonly measure: string
  readonly of: string
  readonly against: string
  readonly points: number
  readonly interval: readonly [number, number] // 95 %, paired bootstrap over cases
  readonly won: number
  readonly lost: number
  readonly cases: number
}

export interface Report {
  readonly rows: readonly Row[]
  readonly differences: readonly Difference[]
}

const compared = ['passed', 'base', 'plus', 'exact', 'begins']

/** @param answerers in the order to be told; the first is compared with the others. */
export function report(results: readonly Result[], answerers: readonly string[]): Report {
  const names = [...new Set(results.map(({ group }) => group))]
  const groups = names.length > 1 ? [...names, 'all'] : names
  const within = (group: string) => results.filter((one) => group === 'all' || one.group === group)
  return {
    rows: groups.flatMap((group) =>
      answerers.flatMap((answerer) => {
        const own = within(group).filter((one) => one.answerer === answerer)
        return own.length > 0 ? [rowOf(own, group, answerer)] : []
      }),
    ),
    differences: groups.flatMap((group) =>
      answerers.slice(1).flatMap((against) => differencesOf(within(group), group, answerers[0]!, against)),
    ),
  }
}

function rowOf(results: readonly Result[], group: string, answerer: string): Row {
  const measures = [...new Set(results.flatMap(({ score }) => Object.keys(score)))]
  const shares = measures.map((measure): [string, Share] => {
    const values = results.flatMap(({ score }) => (score[measure] === undefined ? [] : [Number(score[measure])]))
    const { mean, low, high } = bootstrap(values)
    return [measure, { percent: percent(mean), interval: [percent(low), percent(high)], cases: values.length }]
  })
  const numbers = (key: 'steps' | 'rows' | 'tokens' | 'encodeMs') => results.flatMap((one) => one[key] ?? [])
  const [steps, tokens, rows, encodeMs] = [numbers('steps'), numbers('tokens'), numbers('rows'), numbers('encodeMs')]
  return {
    ...{ group, answerer, cases: results.length, shares: Object.fromEntries(shares) },
    ...(steps.length > 0 ? { steps: rounded(meanOf(steps), 2) } : {}),
    ...(steps.length > 0 ? { steps_per_token: rounded(meanOf(steps) / meanOf(tokens), 3) } : {}),
    ...(rows.length > 0 ? { rows: rounded(meanOf(rows)) } : {}),
    ms_p50: rounded(median(results.map(({ ms }) => ms))),
    ...(encodeMs.length > 0 ? { encode_ms_p50: rounded(median(encodeMs)) } : {}),
  }
}

function differencesOf(results: readonly Result[], group: string, of: string, against: string): Difference[] {
  const theirs = new Map(results.filter(({ answerer }) => answerer === against).map((one) => [one.case, one]))
  const pairs = results
    .filter(({ answerer }) => answerer === of)
    .flatMap((one) => (theirs.has(one.case) ? [[one.score, theirs.get(one.case)!.score] as const] : []))
  return compared.flatMap((measure) => {
    const told = pairs.filter(([ours, other]) => ours[measure] !== undefined && other[measure] !== undefined)
    if (told.length === 0) return []
    const values = told.map(([ours, other]) => Number(ours[measure]) - Number(other[measure]))
    const { mean, low, high } = bootstrap(values)
    const count = (sign: number) => values.filter((value) => value === sign).length
    return {
      ...{ group, measure, of, against, points: percent(mean), interval: [percent(low), percent(high)] as const },
      ...{ won: count(1), lost: count(-1), cases: told.length },
    }
  })
}

const percent = (share: number): number => rounded(100 * share)

export function asText({ rows, differences }: Report): string {
  const measures = [...new Set(rows.flatMap(({ shares }) => Object.keys(shares)))]
  const head = ['', '', 'cases', ...measures.map((name) => `${name} %`), 'passes', 'a token', 'ms p50', 'reading ms']
  const lines = rows.map((row) => [
    row.group,
    row.answerer,
    String(row.cases),
    ...measures.map((name) => shareAsText(row.shares[name])),
    ...[row.steps, row.steps_per_token, row.ms_p50, row.encode_ms_p50].map((value) => String(value ?? '')),
  ])
  const against = differences.map((one) => [
    one.group,
    `${one.of} − ${one.against}`,
    String(one.cases),
    `${one.measure} ${signed(one.points)}`,
    `[${signed(one.interval[0])}, ${signed(one.interval[1])}]`,
    `+${one.won} −${one.lost}`,
  ])
  const differencesHead = ['', '', 'cases', 'points', '95 % (paired)', 'won, lost']
  return columns([head, ...lines]) + (against.length > 0 ? `\n${columns([differencesHead, ...against])}` : '')
}

function shareAsText(share: Share | undefined): string {
  return share ? `${share.percent} [${share.interval[0]}–${share.interval[1]}]` : ''
}

const signed = (value: number): string => (value > 0 ? `+${value}` : String(value))

function columns(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)))
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}
