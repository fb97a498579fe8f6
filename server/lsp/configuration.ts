/** Settings as they are in force, and each of their ways in that leads through the client (`config/sources.ts`). */
import type { ClientCapabilities, Connection } from 'vscode-languageserver'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Restriction } from '../config/restriction.ts'
import { isSetting, type Settings } from '../config/settings.ts'
import { type InForce, type SettingsFile, settingsInForce } from '../config/sources.ts'

export interface ConfigurationOptions {
  readonly connection: Connection
  /** The user's own file as it was when the process began. */
  readonly userFile: SettingsFile | undefined
  readonly readUserFile: (() => Promise<SettingsFile>) | undefined
  /** Told when something may have changed. */
  readonly changed: () => void
  readonly log: Log
}

export class Configuration {
  private readonly options: ConfigurationOptions
  private capabilities: ClientCapabilities = {}
  private userFile: SettingsFile | undefined
  private initial: unknown
  private client: unknown
  private inForce: InForce
  private readings = 0

  constructor(options: ConfigurationOptions) {
    this.options = options
    this.userFile = options.userFile
    this.inForce = settingsInForce(this.userFile, undefined, undefined)
  }

  get settings(): Settings {
    return this.inForce.settings
  }

  /** Of what the client answered. */
  get restriction(): Restriction {
    return this.inForce.restriction
  }

  get warnings(): readonly string[] {
    return this.inForce.warnings
  }

  /** At `initialize`: nothing is asked or read. */
  start(initializationOptions: unknown, capabilities: ClientCapabilities): void {
    this.initial = initializationOptions
    this.capabilities = capabilities
    this.inForce = settingsInForce(this.userFile, this.initial, undefined)
  }

  /**
   * The user's file again, and what the client answers when asked, else what it pushed. The rest stays underneath.
   *
   * @param pushed of `didChangeConfiguration`.
   */
  async read(pushed: unknown): Promise<void> {
    const reading = ++this.readings
    const [userFile, client] = await Promise.all([this.options.readUserFile?.(), this.ask(pushed)])
    if (reading !== this.readings) return // asked again since: answers may come in any order
    this.userFile = userFile ?? this.userFile
    this.client = client
    this.inForce = settingsInForce(this.userFile, this.initial, this.client)
    this.options.changed()
  }

  private async ask(pushed: unknown): Promise<unknown> {
    const { connection, log } = this.options
    if (this.capabilities.workspace?.configuration) {
      try {
        return await connection.workspace.getConfiguration('lacuna')
      } catch (error) {
        log('warn', `the client did not answer for its configuration: ${messageOf(error)}`)
        return this.client
      }
    }
    // All the client's settings in one object, none of them ours, are no settings.
    return Object.keys(pushed ?? {}).some((key) => key === 'lacuna' || isSetting(key)) ? pushed : undefined
  }
}
