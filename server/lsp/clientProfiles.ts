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
  /** The client's own rest after a keystroke before it asks for the menu, which counts towards our debounce. */
  readonly delayMs: number
}

type Habits = Partial<Pick<ClientProfile, 'format' | 'indent' | 'keepsAfterCursor' | 'delayMs'>>

const habitsByName: Readonly<Record<string, Habits>> = {
  neovim: { format: 'snippet', indent: 'relative', keepsAfterCursor: true, delayMs: 25 },
  helix: { delayMs: 250 },
  'kakoune-lsp': { format: 'snippet', indent: 'relative' },
  'kak-lsp': { format: 'snippet', indent: 'relative' },
  'sublime text lsp': { indent: 'relative' },
  emacs: { delayMs: 200 }, // lsp-mode; its ghost text waits longer still
  eglot: {},
  zed: {},
  'visual studio code': {},
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
    delayMs: habits.delayMs ?? 0,
  }
}
