/** What a server of `serving/` tells of itself at `/metrics`, read now and then, and added up over its restarts. */
import { rounded } from '../stats.ts'

/** Values by name, labels included: `lacuna_pass_jobs_bucket{le="4.0"}`. */
export type Metrics = ReadonlyMap<string, number>

/** The text format of Prometheus, values alone. */
export function readMetrics(text: string): Metrics {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ')
      return [line.slice(0, at), Number(line.slice(at + 1))]
    }),
  )
}

/** Of a server that may start anew while it is watched: its counters then begin at 0. */
export class ServerFigures {
  private readonly sums = new Map<string, number>()
  private last: Metrics | undefined
  private mostWaiting = 0
  private mostBytes = 0

  take(metrics: Metrics): void {
    const before = this.last
    this.last = metrics
    this.mostWaiting = Math.max(this.mostWaiting, metrics.get('lacuna_waiting_requests') ?? 0)
    this.mostBytes = Math.max(this.mostBytes, metrics.get('process_resident_memory_bytes') ?? 0)
    if (!before) return
    const anew = ['lacuna_pass_jobs_count', 'lacuna_canvas_gaps_count'].some(
      (name) => (metrics.get(name) ?? 0) < (before.get(name) ?? 0),
    )
    for (const [name, value] of metrics) {
      const since = anew ? 0 : (before.get(name) ?? 0)
      this.sums.set(name, (this.sums.get(name) ?? 0) + value - since)
    }
  }

  /** Since the first reading. @param seconds between the first and the last one. */
  figures(seconds: number) {
    const sum = (name: string) => this.sums.get(name) ?? 0
    const ended = (outcome: string) => sum(`lacuna_requests_total{outcome="${outcome}"}`)
    const busy = sum('lacuna_pass_seconds_sum') + sum('lacuna_canvas_seconds_sum')
    const [passes, jobs, canvases, gaps] = [
      ...['lacuna_pass_jobs_count', 'lacuna_pass_jobs_sum'].map(sum),
      ...['lacuna_canvas_gaps_count', 'lacuna_canvas_gaps_sum'].map(sum),
    ] as [number, number, number, number]
    return {
      passes,
      jobs,
      jobs_a_pass: rounded(jobs / passes, 2),
      passes_by_jobs: this.byCount('lacuna_pass_jobs'),
      jobs_a_second: rounded(jobs / seconds),
      ms_a_pass: rounded((1000 * sum('lacuna_pass_seconds_sum')) / passes, 0),
      canvases,
      gaps_a_canvas: rounded(gaps / canvases, 2),
      canvases_by_gaps: this.byCount('lacuna_canvas_gaps'),
      ms_a_canvas: rounded((1000 * sum('lacuna_canvas_seconds_sum')) / canvases, 0),
      busy_percent: rounded((100 * busy) / seconds, 0),
      requests: Object.fromEntries(
        ['answered', 'missing', 'failed', 'too_late', 'left'].map((outcome) => [outcome, ended(outcome)]),
      ),
      most_waiting: this.mostWaiting,
      kept_rows: this.last?.get('lacuna_kept_rows'),
      dropped_rows: this.last?.get('lacuna_dropped_rows'),
      most_mb: rounded(this.mostBytes / 1e6, 0),
      mb_at_the_end: rounded((this.last?.get('process_resident_memory_bytes') ?? 0) / 1e6, 0),
    }
  }

  /** Buckets of a histogram hold all that was up to a number. */
  private byCount(histogram: string): Record<string, number> {
    const found: Record<string, number> = {}
    let below = 0
    let least = 1
    for (const [name, count] of this.sums) {
      const most = name.startsWith(`${histogram}_bucket`) ? /le="([\d.]+)"/.exec(name)?.[1] : undefined
      if (most === undefined) continue
      const label = Number(most) === least ? `${least}` : `${least} to ${Number(most)}`
      if (count > below) found[label] = count - below
      below = count
      least = Number(most) + 1
    }
    return found
  }
}
