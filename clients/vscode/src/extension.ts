/** Starts the server and hands it to VS Code's own language client; all else is theirs. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import {
  commands,
  type ExtensionContext,
  LanguageStatusSeverity,
  type LanguageStatusItem,
  languages,
  window,
  workspace,
} from 'vscode'
import { type Executable, LanguageClient, type StaticFeature } from 'vscode-languageclient/node'

let client: LanguageClient | undefined

export async function activate(context: ExtensionContext): Promise<LanguageClient> {
  const output = window.createOutputChannel('Lacuna', { log: true })
  const documentSelector = ['file', 'untitled', 'vscode-notebook-cell', 'vscode-remote'].map((scheme) => ({ scheme }))
  const made = new LanguageClient('lacuna', 'Lacuna', executable(context.extensionPath), {
    documentSelector,
    outputChannel: output,
    initializationOptions: () => ({ lacuna: usersOwn() }),
    synchronize: { configurationSection: 'lacuna' },
  })
  client = made
  const item = languages.createLanguageStatusItem('lacuna.status', documentSelector)
  item.name = 'Lacuna'
  item.command = { command: 'lacuna.showLog', title: 'Show the log' }
  show(item, { busy: false, kind: 'Normal', message: '' })
  made.registerFeature(tellsStatus)
  made.onNotification('didChangeStatus', (status: Status) => show(item, status))
  context.subscriptions.push(
    output,
    item,
    commands.registerCommand('lacuna.restart', () => made.restart()),
    commands.registerCommand('lacuna.showLog', () => output.show()),
  )
  try {
    await made.start()
  } catch (error) {
    const words = `Lacuna does not start: ${error instanceof Error ? error.message : error}. Is "lacuna" installed (npm install -g lacuna-ls)? "lacuna.command" can say where it is.`
    void window.showErrorMessage(words)
  }
  return made
}

export function deactivate(): Promise<void> | undefined {
  return client?.stop()
}

/** As the server tells it to clients that say they understand it. */
interface Status {
  readonly busy: boolean
  readonly kind: 'Normal' | 'Error' | 'Warning' | 'Inactive'
  readonly message: string
}

const tellsStatus: StaticFeature = {
  fillClientCapabilities(capabilities) {
    capabilities.experimental = { ...capabilities.experimental, didChangeStatus: true }
  },
  initialize() {},
  getState: () => ({ kind: 'static' }),
  clear() {},
}

/** Behind the braces in the status bar. */
function show(item: LanguageStatusItem, { busy, kind, message }: Status): void {
  item.busy = busy
  item.text = kind === 'Inactive' ? 'Lacuna: off here' : 'Lacuna'
  item.detail = message
  item.severity =
    kind === 'Error'
      ? LanguageStatusSeverity.Error
      : kind === 'Warning'
        ? LanguageStatusSeverity.Warning
        : LanguageStatusSeverity.Information
}

/** The user's command, else `lacuna` on the PATH, else the server in the checkout this folder is in. */
function executable(extensionPath: string): Executable {
  const [command, ...args] = workspace.getConfiguration('lacuna').inspect<string[]>('command')?.globalValue ?? []
  if (command) return { command, args }
  const names = process.platform === 'win32' ? ['lacuna.cmd', 'lacuna.exe'] : ['lacuna']
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find(existsSync)
  const main = join(extensionPath, '..', '..', 'dist', 'main.js')
  if (!found && existsSync(main)) return { command: 'node', args: [main, '--stdio'] }
  return { command: found ?? 'lacuna', args: ['--stdio'], options: { shell: process.platform === 'win32' } }
}

/**
 * What the user said, without what a workspace says: models and providers are taken from here alone. All that holds for a
 * workspace too comes when the server asks for its configuration.
 */
function usersOwn(): Record<string, unknown> {
  const configuration = workspace.getConfiguration('lacuna')
  const said: Record<string, unknown> = {}
  for (const key of Object.keys(configuration).filter((key) => typeof configuration[key] !== 'function')) {
    const { globalValue, defaultValue } = configuration.inspect(key) ?? {}
    const value = globalValue ?? defaultValue
    if (value !== undefined && value !== null) said[key] = value
  }
  return said
}
