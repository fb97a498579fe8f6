/**
 * Where somebody is in a document: told by what they type, and by requests that editors send of themselves when a cursor
 * rests. Handed to the session, which reads ahead; no answer waits for it.
 */
import type {
  DocumentHighlight,
  Position,
  ServerCapabilities,
  TextDocumentContentChangeEvent,
  TextDocumentPositionParams,
} from 'vscode-languageserver'
import type { Session, Snapshot } from '../session/session.ts'
import type { CursorRequest } from './clientProfiles.ts'
import type { Documents } from './documents.ts'
import { isPosition } from './positions.ts'

/** What is offered only so that the client asks. Code actions are offered to all. */
export function cursorCapabilities(request: CursorRequest | undefined): ServerCapabilities {
  return request === 'documentHighlight' ? { documentHighlightProvider: true } : {}
}

export class CursorWatch {
  private readonly documents: Documents
  /** The session when it is open and completions are wanted. A model that is still being loaded is not waited for. */
  private readonly session: () => Session | undefined
  /** Whether a document may be read unasked. */
  private readonly mayRead: (snapshot: Snapshot) => boolean | Promise<boolean>

  constructor(
    documents: Documents,
    session: () => Session | undefined,
    mayRead: (snapshot: Snapshot) => boolean | Promise<boolean>,
  ) {
    this.documents = documents
    this.session = session
    this.mayRead = mayRead
  }

  /** Null and not an empty list, which for some clients is an answer. */
  highlights(params: TextDocumentPositionParams): DocumentHighlight[] | null {
    this.tell(params?.textDocument?.uri, params?.position, false)
    return null
  }

  /** Where the range of a code action begins: some clients widen it to whole lines, others always have a character selected. */
  rests(uri: string | undefined, position: Position | undefined): void {
    this.tell(uri, position, false)
  }

  /** Of a document that was just changed. Several changes at once are no typing, and nor is a new text. */
  changed(uri: string, changes: readonly TextDocumentContentChangeEvent[]): void {
    const [change] = changes
    if (changes.length !== 1 || !change || !('range' in change) || !change.range) return
    this.tell(uri, change.range.start, true, change.text.length)
  }

  private tell(uri: string | undefined, position: Position | undefined, typing: boolean, furtherUnits = 0): void {
    const snapshot = uri === undefined ? undefined : this.documents.snapshot(uri)
    if (!snapshot || !isPosition(position)) return
    const offset = this.documents.offsetAt(snapshot.uri, position) + furtherUnits
    const prepare = (may: boolean) => {
      if (!may || this.documents.snapshot(snapshot.uri) !== snapshot) return
      this.session()?.prepare({ snapshot, offset: Math.min(offset, snapshot.text.length), typing })
    }
    const may = this.mayRead(snapshot)
    if (may instanceof Promise) void may.then(prepare)
    else prepare(may)
  }
}
