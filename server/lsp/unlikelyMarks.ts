/** What looks unlikely, shown as hints; gone as soon as the document is edited. */
import {
  type Connection,
  type Diagnostic,
  DiagnosticSeverity,
  type PublishDiagnosticsParams,
} from 'vscode-languageserver'
import { isOneCharacter, lineEnd, lineStart, type Span } from '../base/spans.ts'
import type { Snapshot } from '../session/session.ts'
import type { ScoredToken } from '../session/unlikely.ts'
import type { Documents } from './documents.ts'

const mostMarks = 5
/** What the model gives less than this, with both sides in sight (`infill/actions/README.md`). */
const unlikelyBelow = 0.02

export class UnlikelyMarks {
  private readonly connection: Connection
  private readonly documents: Documents
  private readonly marked = new Set<string>() // uris

  constructor(connection: Connection, documents: Documents) {
    this.connection = connection
    this.documents = documents
  }

  /** The selection; of a cursor, or of a character that always is selected, the line. */
  spanOf({ text }: Snapshot, { start, end }: Span): Span {
    if (!isOneCharacter(text.slice(start, end))) return { start, end }
    return { start: lineStart(text, start), end: lineEnd(text, start) }
  }

  /** @returns how many were shown, in place of those of before. */
  show({ uri, version }: Snapshot, scored: readonly ScoredToken[]): number {
    const least = scored
      .filter(({ probability }) => probability < unlikelyBelow)
      .toSorted((a, b) => a.probability - b.probability)
      .slice(0, mostMarks)
    const diagnostics = least
      .toSorted((a, b) => a.span.start - b.span.start)
      .map(({ span, probability, expected }): Diagnostic => {
        const instead = expected === '' ? '' : `; likelier: ${expected}`
        return {
          range: this.documents.rangeAt(uri, span),
          severity: DiagnosticSeverity.Hint,
          source: 'lacuna',
          code: 'unlikely',
          message: `unlikely here (${(100 * probability).toPrecision(2)} %)${instead}`,
        }
      })
    this.clear(uri)
    if (diagnostics.length === 0) return 0
    this.marked.add(uri)
    this.send({ uri, version, diagnostics })
    return diagnostics.length
  }

  clear(uri: string): void {
    if (this.marked.delete(uri)) this.send({ uri, diagnostics: [] })
  }

  /** A client that cannot be told has gone, which others notice. */
  private send(params: PublishDiagnosticsParams): void {
    this.connection.sendDiagnostics(params).catch(() => {})
  }
}
