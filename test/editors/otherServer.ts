/**
 * A second language server, to stand beside ours: completes `other` to `otherServerWord` at once, has two words that begin
 * with `pair`, and no ghost text. Bundled by `buildServers.ts`.
 */
import {
  createConnection,
  StreamMessageReader,
  StreamMessageWriter,
  TextDocumentSyncKind,
} from 'vscode-languageserver/node'
import { othersWords } from './cases.ts'

const connection = createConnection(new StreamMessageReader(process.stdin), new StreamMessageWriter(process.stdout))
connection.onInitialize(() => ({
  capabilities: {
    textDocumentSync: TextDocumentSyncKind.Incremental,
    completionProvider: { triggerCharacters: ['.'] },
  },
}))
connection.onCompletion(() => ({
  isIncomplete: false,
  items: [...othersWords, 'otherServerWord'].map((label) => ({ label })),
}))
connection.listen()
