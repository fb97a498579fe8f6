/**
 * What a scripted editor is: how it introduces itself, how it asks, and what it does with an item. Each is written from
 * what its client was found to do (facts/editors.md, section 2), faults included; it knows nothing of the server.
 */
import type {
  ClientCapabilities,
  CompletionItem,
  InlineCompletionItem,
  Position,
  Range,
  TextEdit,
} from 'vscode-languageserver'
import { offsetOf } from '../../fuzz/clientText.ts'
import { expandSnippet } from './snippetEngine.ts'

export interface Editor {
  readonly name: string // of the test
  readonly clientInfo: { readonly name: string; readonly version?: string } | undefined
  readonly capabilities: ClientCapabilities
  readonly initializationOptions: unknown
  /** The `context` of a completion request, the first one and one after `isIncomplete`. */
  readonly context: (again: boolean) => unknown
  /** Whether it says that it does not want an answer any more. */
  readonly cancels: boolean
  /** Asks again by itself after `isIncomplete`; the others keep what they have. */
  readonly asksAgain: boolean
  /** Whether it has ghost text of the protocol's own. */
  readonly inline: boolean
  /** Its buffers have LF alone, whatever the file has: that is what it tells the server too. */
  readonly hidesCr: boolean
  readonly take: (document: Buffer, cursor: number, item: CompletionItem) => string
}

/** What stands in the editor. */
export interface Buffer {
  readonly text: string
  readonly expandTab: number | undefined // blanks that a tab becomes in what a snippet engine inserts
}

const snippetItem = { snippetSupport: true } as const

export const editors: readonly Editor[] = [
  {
    name: 'VS Code',
    clientInfo: { name: 'Visual Studio Code', version: '1.106.0' },
    capabilities: {
      general: { positionEncodings: ['utf-16'] },
      textDocument: {
        completion: {
          completionItem: {
            ...snippetItem,
            insertTextModeSupport: { valueSet: [1, 2] },
            documentationFormat: ['markdown', 'plaintext'],
          },
        },
        inlineCompletion: { dynamicRegistration: true },
      },
      workspace: { configuration: true, didChangeConfiguration: { dynamicRegistration: true } },
    },
    initializationOptions: {},
    context: (again) => ({ triggerKind: again ? 3 : 1 }),
    cancels: true,
    asksAgain: true,
    inline: true,
    hidesCr: false,
    take: (buffer, cursor, item) => vscodeTakes(buffer, cursor, item),
  },
  neovim('Neovim 0.12', true),
  neovim('Neovim 0.11', false),
  {
    name: 'Helix',
    clientInfo: { name: 'helix', version: '25.07' },
    capabilities: {
      general: { positionEncodings: ['utf-8', 'utf-32', 'utf-16'] },
      textDocument: { completion: { completionItem: snippetItem } },
      workspace: { configuration: true, applyEdit: true },
    },
    initializationOptions: null, // no `config` in languages.toml
    context: (again) => ({ triggerKind: again ? 3 : 1 }),
    cancels: false,
    asksAgain: true,
    inline: false,
    hidesCr: false,
    // Relative to the text when it asked; a plain edit goes in as it is.
    take: ({ text }, cursor, item) => plainEdit(text, cursor, item),
  },
  {
    name: 'eglot',
    clientInfo: { name: 'Eglot', version: '1.24' },
    capabilities: {
      general: { positionEncodings: ['utf-32', 'utf-8', 'utf-16'] },
      textDocument: { completion: { completionItem: { snippetSupport: false } } },
      workspace: { configuration: true, applyEdit: true },
    },
    initializationOptions: {}, // eglot's `:json-false` and `eglot--{}`
    context: () => ({ triggerKind: 1 }),
    cancels: true,
    asksAgain: true,
    inline: false,
    hidesCr: true,
    take: ({ text }, cursor, item) => plainEdit(text, cursor, item),
  },
  {
    name: 'eglot through rass',
    clientInfo: { name: 'Eglot', version: '1.24' },
    capabilities: {
      general: { positionEncodings: ['utf-16'] },
      textDocument: { completion: { completionItem: { snippetSupport: false } } },
    },
    initializationOptions: {},
    context: () => ({ triggerKind: 1 }),
    cancels: false,
    asksAgain: false, // merging overwrites isIncomplete
    inline: false,
    hidesCr: true,
    take: ({ text }, cursor, item) => plainEdit(text, cursor, item),
  },
  {
    name: 'lsp-mode',
    clientInfo: { name: 'emacs', version: 'GNU Emacs 30.1' },
    capabilities: {
      general: { positionEncodings: ['utf-32', 'utf-8', 'utf-16'] },
      textDocument: {
        completion: { completionItem: { ...snippetItem, insertTextModeSupport: { valueSet: [1, 2] } } },
        inlineCompletion: null as unknown as object, // it decodes and encodes nothing as null
      },
      workspace: { configuration: true },
    },
    initializationOptions: null,
    context: (again) => ({ triggerKind: again ? 3 : 1 }),
    cancels: true,
    asksAgain: true,
    inline: true,
    hidesCr: true,
    take: (buffer, cursor, item) => lspModeTakes(buffer, cursor, item),
  },
  {
    name: 'kakoune-lsp',
    clientInfo: { name: 'kakoune-lsp', version: '21.0.0' },
    capabilities: {
      general: { positionEncodings: ['utf-8', 'utf-16'] },
      textDocument: { completion: { completionItem: snippetItem } },
    },
    initializationOptions: null,
    context: () => null,
    cancels: false,
    asksAgain: false,
    inline: false,
    hidesCr: true,
    take: (buffer, cursor, item) => kakouneTakes(buffer, cursor, item),
  },
  {
    name: 'Zed',
    clientInfo: { name: 'Zed', version: '0.215.0' },
    capabilities: {
      general: { positionEncodings: ['utf-16'] },
      textDocument: { completion: { completionItem: snippetItem, contextSupport: true } },
      workspace: { configuration: true },
    },
    initializationOptions: undefined,
    context: (again) => ({ triggerKind: again ? 3 : 1 }),
    cancels: true,
    asksAgain: true,
    inline: false,
    hidesCr: false,
    take: ({ text }, cursor, item) => plainEdit(text, cursor, item),
  },
  {
    name: 'Sublime Text',
    clientInfo: { name: 'Sublime Text LSP', version: '2.13.0' },
    capabilities: {
      general: { positionEncodings: ['utf-16'] },
      textDocument: { completion: { completionItem: snippetItem } },
      workspace: { configuration: true },
    },
    initializationOptions: {},
    context: () => undefined, // it sends none
    cancels: true,
    asksAgain: true,
    inline: false,
    hidesCr: true,
    take: (buffer, cursor, item) => sublimeTakes(buffer, cursor, item),
  },
]

function neovim(name: string, inline: boolean): Editor {
  return {
    name,
    clientInfo: { name: 'Neovim', version: name.slice('Neovim '.length) },
    capabilities: {
      general: { positionEncodings: ['utf-8', 'utf-16', 'utf-32'] },
      textDocument: {
        completion: {
          completionItem: { ...snippetItem, documentationFormat: ['markdown', 'plaintext'] },
          completionList: { itemDefaults: ['editRange', 'insertTextFormat', 'insertTextMode', 'data'] },
        },
        ...(inline ? { inlineCompletion: { dynamicRegistration: false } } : {}),
      },
      workspace: { configuration: true, didChangeConfiguration: { dynamicRegistration: false } },
    },
    initializationOptions: undefined,
    context: () => ({ triggerKind: 1 }), // when it asks again too
    cancels: true,
    asksAgain: true,
    inline,
    hidesCr: false,
    take: (buffer, cursor, item) => neovimTakes(buffer, cursor, item),
  }
}

/** Every client: ghost text is an edit. Without a range, what was typed would stand twice. */
export function takeInline(text: string, { range, insertText }: InlineCompletionItem): string {
  if (!range) throw new Error('an inline item without a range')
  return edited(text, range, insertText as string)
}

function plainEdit(text: string, _cursor: number, item: CompletionItem): string {
  const { range, newText } = item.textEdit as TextEdit
  return edited(text, range, item.insertTextFormat === 2 ? expandSnippet(newText) : newText)
}

/** `insertTextMode: 1` is asked to be left alone; otherwise its lines are moved to the line's indentation. */
function vscodeTakes({ text }: Buffer, _cursor: number, item: CompletionItem): string {
  const { range, newText } = item.textEdit as TextEdit
  const plain = item.insertTextFormat === 2 ? expandSnippet(newText) : newText
  return edited(
    text,
    range,
    ownLineBreaks(text, item.insertTextMode === 1 ? plain : moved(plain, indentOf(text, range.start))),
  )
}

/** Snippets: the line's indentation goes before each line but the first, and tabs are expanded; text behind the cursor stays. */
function neovimTakes({ text, expandTab }: Buffer, cursor: number, item: CompletionItem): string {
  const { range, newText } = item.textEdit as TextEdit
  const start = offsetOf(text, range.start)
  // Plain items keep their first line only.
  if (item.insertTextFormat !== 2) return text.slice(0, start) + newText.split('\n')[0] + text.slice(cursor)
  const tab = expandTab === undefined ? '\t' : ' '.repeat(expandTab)
  const expanded = moved(expandSnippet(newText.replaceAll('\t', tab)), indentOf(text, range.start))
  return text.slice(0, start) + ownLineBreaks(text, expanded) + text.slice(cursor)
}

/** Everything goes through its snippet engine, plain text too. */
function kakouneTakes({ text }: Buffer, _cursor: number, item: CompletionItem): string {
  const { range, newText } = item.textEdit as TextEdit
  return edited(text, range, ownLineBreaks(text, moved(expandSnippet(newText), indentOf(text, range.start))))
}

/** Its lines are indented again, unless it is asked to leave them. */
function lspModeTakes({ text }: Buffer, _cursor: number, item: CompletionItem): string {
  const { range, newText } = item.textEdit as TextEdit
  const plain = item.insertTextFormat === 2 ? expandSnippet(newText) : newText
  return edited(text, range, item.insertTextMode === 1 ? plain : moved(plain, indentOf(text, range.start)))
}

function sublimeTakes({ text }: Buffer, _cursor: number, item: CompletionItem): string {
  const { range, newText } = item.textEdit as TextEdit
  const plain = item.insertTextFormat === 2 ? expandSnippet(newText) : newText
  return edited(text, range, ownLineBreaks(text, moved(plain, indentOf(text, range.start))))
}

function moved(text: string, indent: string): string {
  return text.replace(/(?<=\n)(?=[^\r\n])/g, indent)
}

/** An editor has one kind of line break in a file, whatever it is told. */
function ownLineBreaks(text: string, insert: string): string {
  return insert.replace(/\r\n|\n/g, text.includes('\r\n') ? '\r\n' : '\n')
}

function indentOf(text: string, at: Position): string {
  const line = text.split(/\r\n|\n/)[at.line]!
  return /^[ \t]*/.exec(line)![0]
}

function edited(text: string, { start, end }: Range, insert: string): string {
  return text.slice(0, offsetOf(text, start)) + insert + text.slice(offsetOf(text, end))
}
