/** The documents the client has open, as it last told them. Handed out as snapshots, which never change. */
import type { Position, Range, TextDocumentContentChangeEvent, TextDocumentItem } from 'vscode-languageserver'
import { TextDocument } from 'vscode-languageserver-textdocument'
import { type Span, splitsSurrogates } from '../base/spans.ts'
import type { Snapshot } from '../session/session.ts'

interface Open {
  readonly document: TextDocument
  snapshot: Snapshot
}

export class Documents {
  private readonly opened = new Map<string, Open>() // by uri, the last that was opened or changed last

  /** Of those that are open. */
  get count(): number {
    return this.opened.size
  }

  open({ uri, languageId, version, text }: TextDocumentItem): void {
    const document = TextDocument.create(uri, languageId, version, text)
    this.opened.delete(uri)
    this.opened.set(uri, { document, snapshot: { uri, languageId, version, text } })
  }

  /**
   * Applies the changes in their order. A document whose changes make no sense is forgotten: answers about text we
   * only believe to know would damage it.
   *
   * @returns false when no such document is open.
   * @throws {Error} on malformed changes.
   */
  change(uri: string, version: number, changes: readonly TextDocumentContentChangeEvent[]): boolean {
    const open = this.opened.get(uri)
    if (!open) return false
    const { document } = open
    try {
      for (const change of changes) TextDocument.update(document, [wellFormed(document, change)], version)
    } catch (error) {
      this.opened.delete(uri)
      throw error
    }
    open.snapshot = { ...open.snapshot, version, text: document.getText() }
    this.opened.delete(uri)
    this.opened.set(uri, open)
    return true
  }

  close(uri: string): void {
    this.opened.delete(uri)
  }

  /** All of them, the last that was opened or changed first. */
  snapshots(): Snapshot[] {
    return [...this.opened.values()].map(({ snapshot }) => snapshot).reverse()
  }

  /** The same object for as long as the document stays as it is. */
  snapshot(uri: string): Snapshot | undefined {
    return this.opened.get(uri)?.snapshot
  }

  /**
   * Of the document as it is now. A character past the end of its line counts as that end, a line past the last as the
   * end of the document; between the halves of a surrogate pair means before it.
   */
  offsetAt(uri: string, position: Position): number {
    const { document, snapshot } = this.mustGet(uri)
    const offset = document.offsetAt(position)
    return splitsSurrogates(snapshot.text, offset) ? offset - 1 : offset
  }

  /** Some clients tell a selection from where it was begun, which may be its end. */
  spanAt(uri: string, range: Range): Span {
    const [a, b] = [this.offsetAt(uri, range.start), this.offsetAt(uri, range.end)]
    return { start: Math.min(a, b), end: Math.max(a, b) }
  }

  rangeAt(uri: string, span: Span): Range {
    const { document } = this.mustGet(uri)
    return { start: document.positionAt(span.start), end: document.positionAt(span.end) }
  }

  private mustGet(uri: string): Open {
    const open = this.opened.get(uri)
    if (!open) throw new Error(`${uri} is not open`)
    return open
  }
}

/** With its range inside the document: the library keeps its line table right only for those. */
function wellFormed(document: TextDocument, change: TextDocumentContentChangeEvent): TextDocumentContentChangeEvent {
  // Some clients send a null range for the whole text.
  if (!('range' in change) || !change.range) return { text: change.text }
  const inside = (position: Position) => document.positionAt(document.offsetAt(position))
  return { range: { start: inside(change.range.start), end: inside(change.range.end) }, text: change.text }
}
