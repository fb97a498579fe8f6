/** What `lacuna doctor` found: printed as it is found, and kept for `--json`. Knows nothing of what is examined. */
import { messageOf } from '../base/errors.ts'

export type Verdict = 'ok' | 'FAIL' | 'note'

interface Line {
  readonly verdict: Verdict
  readonly what: string
  readonly found: string
}

export class DoctorReport {
  private readonly out: (text: string) => void
  private readonly lines: Line[] = []
  private readonly items = new Map<string, unknown[]>()
  private about: Readonly<Record<string, unknown>> = {}

  constructor(out: (text: string) => void) {
    this.out = out
  }

  machine(about: Readonly<Record<string, string | number>>): void {
    this.about = about
    const { lacuna, node, platform, processors, engineThreads, memoryGiB } = about
    this.out(`lacuna ${lacuna}, node ${node}, ${platform}, ${processors} threads, ${memoryGiB} GiB\n`)
    this.out(`note  threads: the engine takes ${engineThreads} of ${processors}\n`)
  }

  /** @returns what the work came to, or undefined when it threw: the message is then what was found. */
  async check<Result>(
    what: string,
    work: () => Promise<{ result: Result; found: string }>,
  ): Promise<Result | undefined> {
    try {
      const { result, found } = await work()
      this.line('ok', what, found)
      return result
    } catch (error) {
      this.line('FAIL', what, messageOf(error))
      return undefined
    }
  }

  note(what: string, found: string): void {
    this.line('note', what, found)
  }

  line(verdict: Verdict, what: string, found: string): void {
    this.lines.push({ verdict, what, found })
    this.out(`${verdict.padEnd(4)}  ${what}: ${found}\n`)
  }

  /** For `--json` alone: what would be too much for a line. */
  item(kind: string, item: unknown): void {
    this.items.set(kind, [...(this.items.get(kind) ?? []), item])
  }

  asJson(): Readonly<Record<string, unknown>> {
    return { machine: this.about, lines: this.lines, ...Object.fromEntries(this.items) }
  }
}
