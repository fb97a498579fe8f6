/**
 * How completion items must look for each editor, where the protocol leaves room and editors use it differently. Keyed
 * by what a client calls itself; found by reading and running the clients, not by their capabilities alone.
 */
import type { ClientCapabilities } from 'vscode-languageserver'

export interface ClientProfile {
  /** Snippet: text with `$`, `}` and `\` escaped, and LF; for clients that cut or misread plain text of several lines. */
  readonly format: 'plain' | 'snippet'
  /** Relative: the client itself puts the current line's indentation before each continuation line. */
  readonly indent: 'absolute' | 'relative'
  /** Accepting an item leaves what stands after the cursor, whatever the edit's range says. */
  readonly keepsAfterCursor: boolean
  /** Ask the client not to touch indentation (`insertTextMode` as is). */
  readonly asIs: boolean
  readonly markdown: boolean
  /**
   * The request by which the client tells, unasked, where the cursor rests: offered to it for that alone, and only where
   * an empty answer takes nothing from anybody (see the table below).
   */
  readonly tellsCursorBy: CursorRequest | undefined
  /** A cursor is a selection of one character, or none was made: what is selected is more than that. */
  readonly selectsCursor: boolean
  /** Runs the command of an item when that was taken. */
  readonly runsCommands: boolean
  /** The client's own rest after a keystroke before it asks for the menu, which counts towards our debounce. */
  readonly delayMs: number
}

export type CursorRequest = 'codeAction' | 'documentHighlight'

type Habits = Partial<
  Pick<
    ClientProfile,
    'format' | 'indent' | 'keepsAfterCursor' | 'tellsCursorBy' | 'selectsCursor' | 'runsCommands' | 'delayMs'
  >
>

/**
 * Code actions are asked of all servers side by side, and an empty list adds nothing. Highlights are asked of one server
 * only by Helix, Zed and Sublime, and by VS Code of the first that has any (some versions then leave out their own):
 * there ours would take the place of another's. Emacs adds those of all servers up. Neovim asks for neither by itself.
 */
const habitsByName: Readonly<Record<string, Habits>> = {
  neovim: { format: 'snippet', indent: 'relative', keepsAfterCursor: true, runsCommands: true, delayMs: 25 },
  helix: { tellsCursorBy: 'codeAction', selectsCursor: true, delayMs: 250 },
  'kakoune-lsp': { format: 'snippet', indent: 'relative', tellsCursorBy: 'codeAction', selectsCursor: true },
  'kak-lsp': { format: 'snippet', indent: 'relative', tellsCursorBy: 'codeAction', selectsCursor: true },
  'sublime text lsp': { indent: 'relative', tellsCursorBy: 'codeAction' },
  emacs: { tellsCursorBy: 'documentHighlight', runsCommands: true, delayMs: 200 }, // lsp-mode; its ghost text waits longer still
  eglot: { tellsCursorBy: 'documentHighlight' },
  zed: { tellsCursorBy: 'codeAction' },
  'visual studio code': { tellsCursorBy: 'codeAction', runsCommands: true },
}

export function clientProfile(name: string | undefined, capabilities: ClientCapabilities): ClientProfile {
  const item = capabilities.textDocument?.completion?.completionItem
  const habits = habitsByName[name?.toLowerCase() ?? ''] ?? {}
  // Kakoune runs everything through its snippet engine; others must say that they have one.
  const snippets = item?.snippetSupport === true || name?.toLowerCase().startsWith('kak')
  return {
    format: habits.format === 'snippet' && snippets ? 'snippet' : 'plain',
    indent: habits.indent ?? 'absolute',
    keepsAfterCursor: habits.keepsAfterCursor ?? false,
    asIs: item?.insertTextModeSupport?.valueSet?.includes(1) ?? false,
    markdown: item?.documentationFormat?.includes('markdown') ?? false,
    tellsCursorBy: habits.tellsCursorBy,
    selectsCursor: habits.selectsCursor ?? false,
    runsCommands: habits.runsCommands ?? false,
    delayMs: habits.delayMs ?? 0,
  }
}
