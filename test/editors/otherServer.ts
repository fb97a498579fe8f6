/**
 * A second language server, to stand beside ours: completes `other` to `otherServerWord` at once, and has no ghost text.
 * Bundled by `buildServers.ts`.
 */
import {
  createConnection,
  StreamMessageReader,
  StreamMessageWriter,
  TextDocumentSyncKind,
} from 'vscode-languageserver/node'

const connection = createConnection(new StreamMessageReader(process.stdin), new StreamMessageWriter(process.stdout))
connection.onInitialize(() => ({
  capabilities: {
    textDocumentSync: TextDocumentSyncKind.Incremental,
    completionProvider: { triggerCharacters: ['.'] },
  },
}))
connection.onCompletion(() => ({ isIncomplete: false, items: [{ label: 'otherServerWord' }] }))
connection.listen()
