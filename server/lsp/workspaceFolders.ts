/** Which folders the client has open, as paths; and, where it watches files, word of those that rules are read from. */
import { resolve } from 'node:path'
import {
  type Connection,
  DidChangeWatchedFilesNotification,
  type InitializeParams,
  type ServerCapabilities,
} from 'vscode-languageserver'
import { ignoreFileNames } from '../config/ignoreFiles.ts'
import { workspaceFileName } from '../config/workspaceFile.ts'
import { pathOf } from '../config/workspaceRules.ts'

export class WorkspaceFolders {
  private readonly connection: Connection
  private readonly changed: () => void
  private uris = new Set<string>()
  private watches = false
  private hasSeveral = false

  /** @param changed told when folders come and go, and when a watched file is another. */
  constructor(connection: Connection, changed: () => void) {
    this.connection = connection
    connection.onDidChangeWatchedFiles(changed)
    this.changed = changed
  }

  /** Those on a disk. */
  get paths(): readonly string[] {
    return [...this.uris].flatMap((uri) => {
      const path = pathOf(uri)
      return path === undefined ? [] : [resolve(path)]
    })
  }

  /** @returns what is to be said to a client that has several folders. */
  start({ workspaceFolders, rootUri, capabilities }: InitializeParams): ServerCapabilities {
    const { workspace } = capabilities ?? {}
    const roots = Array.isArray(workspaceFolders) ? workspaceFolders.map((folder) => folder?.uri) : [rootUri]
    this.uris = new Set(roots.filter((uri) => typeof uri === 'string'))
    this.watches = workspace?.didChangeWatchedFiles?.dynamicRegistration === true
    this.hasSeveral = workspace?.workspaceFolders === true
    if (!this.hasSeveral) return {}
    return { workspace: { workspaceFolders: { supported: true, changeNotifications: true } } }
  }

  /** From `initialized` on. Rejects when the client does. */
  async watch(): Promise<void> {
    if (this.hasSeveral) {
      this.connection.workspace.onDidChangeWorkspaceFolders(({ added, removed }) => {
        for (const { uri } of removed) this.uris.delete(uri)
        for (const { uri } of added) this.uris.add(uri)
        this.changed()
      })
    }
    if (!this.watches) return
    const watchers = [...ignoreFileNames, workspaceFileName].map((name) => ({ globPattern: `**/${name}` }))
    await this.connection.client.register(DidChangeWatchedFilesNotification.type, { watchers })
  }
}
