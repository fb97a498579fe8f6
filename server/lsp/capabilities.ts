/** What the server says of itself at `initialize`: the same to all clients, but for what only some understand. */
import { type ServerCapabilities, TextDocumentSyncKind } from 'vscode-languageserver'
import type { ClientProfile } from './clientProfiles.ts'
import { codeActionCapabilities } from './codeActions.ts'
import { cursorCapabilities } from './cursorWatch.ts'

/**
 * Where the menu may open beside words: Neovim's automatic completion asks at nothing else. Places where an expression,
 * a member, an argument, a type or a block begins.
 */
const triggerCharacters = ['.', '(', '[', '{', ',', ':', '=', ' ']

/** @param commands by name. */
export function serverCapabilities(
  { tellsCursorBy }: Pick<ClientProfile, 'tellsCursorBy'>,
  commands: readonly string[],
): ServerCapabilities {
  return {
    positionEncoding: 'utf-16',
    textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental },
    completionProvider: { triggerCharacters },
    // Literally true: lsp-mode reads `{}` as absent.
    inlineCompletionProvider: true,
    ...codeActionCapabilities,
    executeCommandProvider: { commands: [...commands] },
    ...cursorCapabilities(tellsCursorBy),
  }
}
