/**
 * As much of VS Code's API as its own language client needs to run in plain Node: documents, events, settings, and what
 * was registered. Everything else is there and does nothing, so that the client loads; what it registers is kept by name.
 * It knows nothing of how VS Code shows or inserts what providers return.
 */
import { EventEmitter as NodeEmitter } from 'node:events'
import { pathToFileURL } from 'node:url'
import { TextDocument } from 'vscode-languageserver-textdocument'

class Position {
  readonly line: number
  readonly character: number
  constructor(line: number, character: number) {
    this.line = line
    this.character = character
  }
}

class Range {
  readonly start: Position
  readonly end: Position
  constructor(start: Position | number, end: Position | number, endLine?: number, endCharacter?: number) {
    const numbers = typeof start === 'number'
    this.start = numbers ? new Position(start, end as number) : (start as Position)
    this.end = numbers ? new Position(endLine!, endCharacter!) : (end as Position)
  }
}

class Emitter {
  private readonly emitter = new NodeEmitter()
  readonly event = (listener: (value: unknown) => unknown, self?: unknown) => {
    const bound = listener.bind(self)
    this.emitter.on('fire', bound)
    return { dispose: () => void this.emitter.off('fire', bound) }
  }
  fire(value: unknown): void {
    this.emitter.emit('fire', value)
  }
  dispose(): void {
    this.emitter.removeAllListeners()
  }
}

class Item {
  [key: string]: unknown
  constructor(label: string) {
    this.label = label
  }
}

class InlineCompletionItem {
  readonly insertText: string
  readonly range: Range
  readonly command: unknown
  constructor(insertText: string, range: Range, command: unknown) {
    this.insertText = insertText
    this.range = range
    this.command = command
  }
}

class List {
  readonly items: readonly unknown[]
  readonly isIncomplete: boolean
  constructor(items: readonly unknown[], isIncomplete = false) {
    this.items = items
    this.isIncomplete = isIncomplete
  }
}

class CancellationError extends Error {}

export interface StubDocument {
  readonly uri: { toString(): string }
  readonly languageId: string
  version: number
  isClosed: boolean
  getText(): string
  offsetAt(position: Position): number
  positionAt(offset: number): Position
  change(start: number, end: number, text: string): void
}

// biome-ignore lint/suspicious/noExplicitAny: providers are the client's, of many shapes
type Provider = any

export function createVscodeStub(settings: Readonly<Record<string, unknown>>) {
  const opened = new Emitter()
  const changed = new Emitter()
  const closed = new Emitter()
  const documents: StubDocument[] = []
  const registered = new Map<string, Provider>()
  const disposable = { dispose() {} }
  const nothing: unknown = anything()

  const workspace = namespace({
    textDocuments: documents,
    notebookDocuments: [],
    workspaceFolders: undefined,
    isTrusted: true,
    onDidOpenTextDocument: opened.event,
    onDidChangeTextDocument: changed.event,
    onDidCloseTextDocument: closed.event,
    getConfiguration: (section?: string, _scope?: unknown) => {
      const all: Record<string, unknown> = { ...settings }
      const inSection = section === undefined ? { lacuna: all } : section === 'lacuna' ? all : {}
      return {
        ...inSection,
        get: (key: string, fallback?: unknown) => (inSection as Record<string, unknown>)[key] ?? fallback,
        inspect: (key: string) => ({ globalValue: (inSection as Record<string, unknown>)[key] }),
        has: (key: string) => key in inSection,
      }
    },
  })
  const statusItem: Record<string, unknown> = { dispose() {} }
  const languages = namespace({
    match: () => 10,
    registerInlineCompletionItemProvider: (_selector: unknown, provider: Provider) => {
      registered.set('inline', provider)
      return disposable
    },
    registerCompletionItemProvider: (_selector: unknown, provider: Provider) => {
      registered.set('completion', provider)
      return disposable
    },
    registerCodeActionsProvider: (_selector: unknown, provider: Provider) => {
      registered.set('codeAction', provider)
      return disposable
    },
    createLanguageStatusItem: () => statusItem,
  })
  const window = namespace({
    visibleTextEditors: [],
    tabGroups: { all: [], onDidChangeTabs: new Emitter().event },
    createOutputChannel: () =>
      namespace({ onDidChangeLogLevel: new Emitter().event, logLevel: 3, name: 'Lacuna', dispose() {} }),
  })
  const vscode = new Proxy(
    {
      Position,
      Range,
      EventEmitter: Emitter,
      InlineCompletionItem,
      InlineCompletionList: List,
      CompletionList: List,
      CancellationError,
      CompletionItem: Item,
      Disposable: class {
        dispose: () => void
        constructor(dispose: () => void) {
          this.dispose = dispose
        }
        static from = () => disposable
      },
      Uri: {
        parse: (text: string) => ({ toString: () => text, scheme: text.split(':')[0], fsPath: text }),
        file: (path: string) => ({ toString: () => pathToFileURL(path).href, scheme: 'file', fsPath: path }),
      },
      SnippetString: class {
        readonly value: string
        constructor(value: string) {
          this.value = value
        }
      },
      LanguageStatusSeverity: { Information: 0, Warning: 1, Error: 2 },
      InlineCompletionTriggerKind: { Invoke: 0, Automatic: 1 },
      version: '1.91.0',
      env: { appName: 'Visual Studio Code', appHost: 'desktop', language: 'en' },
      workspace,
      languages,
      window,
      commands: namespace({ registerCommand: () => disposable }),
    } as Record<string, unknown>,
    {
      get: (given, name) => (name in given ? given[name as string] : typeof name === 'string' ? nothing : undefined),
    },
  )

  return {
    vscode,
    registered,
    statusItem,
    open(path: string, languageId: string, text: string): StubDocument {
      const uri = { toString: () => pathToFileURL(path).href, scheme: 'file', fsPath: path }
      let inner = TextDocument.create(uri.toString(), languageId, 1, text)
      const document: StubDocument = {
        uri,
        languageId,
        version: 1,
        isClosed: false,
        getText: () => inner.getText(),
        offsetAt: (position) => inner.offsetAt(position),
        positionAt: (offset) => {
          const { line, character } = inner.positionAt(offset)
          return new Position(line, character)
        },
        change(start, end, newText) {
          const range = new Range(document.positionAt(start), document.positionAt(end))
          document.version++
          inner = TextDocument.update(inner, [{ range, text: newText }], document.version)
          changed.fire({
            document,
            contentChanges: [{ range, rangeOffset: start, rangeLength: end - start, text: newText }],
          })
        },
      }
      documents.push(document)
      opened.fire(document)
      return document
    },
  }

  /** Callable, constructible, extensible, with every property and a value as a number. */
  function anything(): unknown {
    return new Proxy(class {}, {
      get: (target, name) =>
        name === 'prototype' ? target.prototype : name === Symbol.toPrimitive ? () => 0 : nothing,
      apply: () => disposable,
    })
  }

  function namespace(given: Record<string, unknown>): unknown {
    return new Proxy(given, {
      get: (target, name) => {
        if (name in target) return target[name as string]
        if (typeof name !== 'string' || name === 'then') return undefined
        return name.startsWith('on') ? new Emitter().event : () => disposable
      },
    })
  }
}
