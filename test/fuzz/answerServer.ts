/** How a fuzzed client answers what the server asks of it; edits of the server's own accord are checked and applied. */
import type { Range, WorkspaceEdit } from 'vscode-languageserver'
import { fits, offsetOf } from './clientText.ts'
import type { Fuzzed } from './kinds.ts'
import { codes } from './ledger.ts'

export function answerServer(fuzzed: Fuzzed, method: string, params: unknown): { result: unknown } | { error: object } {
  const { random } = fuzzed.client
  switch (method) {
    case 'workspace/configuration': {
      if (!fuzzed.isProbing && random.chance(0.1)) return { error: { code: codes.requestFailed, message: 'not now' } }
      const { items } = params as { items: unknown[] }
      return { result: items.map(() => fuzzed.configuration) }
    }
    case 'workspace/applyEdit':
      return { result: { applied: applyEdit(fuzzed, (params as { edit: WorkspaceEdit }).edit) } }
    case 'client/registerCapability':
    case 'client/unregisterCapability':
    case 'window/workDoneProgress/create':
    case 'window/showMessageRequest':
      return random.chance(0.05) ? { error: { code: codes.requestFailed, message: 'no' } } : { result: null }
    default:
      return { error: { code: codes.methodNotFound, message: method } }
  }
}

/** Of versioned documents alone; all of it or nothing. */
function applyEdit({ client }: Fuzzed, { changes, documentChanges = [] }: WorkspaceEdit): boolean {
  if (changes) client.ledger.breach('an edit without a version')
  for (const change of documentChanges) {
    if (!('edits' in change)) {
      client.ledger.breach(`an edit of files: ${JSON.stringify(change)}`)
      return false
    }
    const { uri, version } = change.textDocument
    const document = client.documents.get(uri)
    if (version === null) client.ledger.breach('an edit without a version')
    if (!document || document.lost || document.version !== version) return false
    const edits = change.edits as { range: Range; newText: string }[]
    const spans = edits.map(({ range, newText }) => ({
      range,
      text: newText,
      start: offsetOf(document.text, range.start),
      end: offsetOf(document.text, range.end),
    }))
    const ordered = spans.toSorted((a, b) => b.start - a.start)
    const overlap = ordered.some(({ start }, i) => i + 1 < ordered.length && ordered[i + 1]!.end > start)
    if (overlap || !edits.every(({ range }) => fits(document.text, range)))
      client.ledger.breach(`an edit that does not fit its version: ${JSON.stringify(change)}`)
    // From the end, so that each range still means what it meant.
    client.change(document, ordered)
  }
  return true
}
