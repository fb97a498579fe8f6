/**
 * All sources of settings, and which of them counts. From the weakest to the strongest:
 *
 * | source | scope |
 * |---|---|
 * | the defaults | |
 * | `config.json` in the user's configuration folder | the user's: everything |
 * | `initializationOptions` | the user's: everything |
 * | `workspace/configuration`, or what `didChangeConfiguration` pushes | merged: everything but `setBy: user`; modes and ignored files may only restrict |
 * | `.lacuna.json` at the root of a workspace folder (`workspaceRules.ts`) | a workspace's: may only restrict |
 *
 * Each is read whole again when it changes; nothing is remembered of what it said before. A broken source sets nothing.
 */
import { join, resolve } from 'node:path'
import envPaths from 'env-paths'
import { parseJsonText } from './jsonText.ts'
import { type ReadSettings, readSettings, type SettingsScope } from './readSettings.ts'
import type { Restriction } from './restriction.ts'
import { defaultSettings, type Settings } from './settings.ts'
import { readSmallFile, type SmallFile } from './smallFile.ts'

/** A file of settings as it was found: its text as JSON, or why it could not be had. */
export interface SettingsFile {
  readonly path: string
  readonly found: boolean
  readonly value?: unknown
  readonly problem?: string // a sentence, with line and column where it is one of JSON
}

export interface InForce {
  readonly settings: Settings
  /** Of the merged source: stands beside the settings, and may only make them stricter. */
  readonly restriction: Restriction
  readonly warnings: readonly string[]
}

/** `config.json` in the platform's folder for configuration, or in LACUNA_HOME. */
export function userSettingsPath(): string {
  const home = process.env.LACUNA_HOME
  return join(home ? resolve(home) : envPaths('lacuna', { suffix: '' }).config, 'config.json')
}

export async function readUserSettings(path = userSettingsPath()): Promise<SettingsFile> {
  return settingsFile(path, await readSmallFile(path, 'followed'))
}

export function settingsFile(path: string, file: SmallFile): SettingsFile {
  switch (file.kind) {
    case 'absent':
      return { path, found: false }
    case 'unreadable':
      return { path, found: true, problem: `${path}: ${file.problem}; the file is ignored` }
    case 'text': {
      const parsed = parseJsonText(file.text)
      if ('value' in parsed) return { path, found: true, value: parsed.value }
      return {
        path,
        found: true,
        problem: `${path}:${parsed.line}:${parsed.column}: ${parsed.problem}; the file is ignored until that is mended`,
      }
    }
  }
}

/** @param base what is in force where the file says nothing. */
export function readFileSettings(file: SettingsFile, base: Settings, scope: SettingsScope): ReadSettings {
  const read = readSettings(file.value, base, scope, `${file.path}: `)
  return file.problem === undefined ? read : { ...read, warnings: [file.problem, ...read.warnings] }
}

/** @param client what the client answered or pushed. */
export function settingsInForce(
  file: SettingsFile | undefined,
  initializationOptions: unknown,
  client: unknown,
): InForce {
  const own = file ? readFileSettings(file, defaultSettings, 'user') : readSettings(undefined)
  const initial = readSettings(initializationOptions, own.settings)
  const { settings, restriction, warnings } = readSettings(client, initial.settings, 'merged')
  return { settings, restriction, warnings: [...own.warnings, ...initial.warnings, ...warnings] }
}
