/**
 * `.lacuna.json` at the root of a workspace folder: what a workspace asks for itself. It came with the files, so it may
 * restrict and nothing else; whatever else it holds is named as not allowed.
 */
import { join } from 'node:path'
import type { Restriction } from './restriction.ts'
import { defaultSettings } from './settings.ts'
import type { SmallFile } from './smallFile.ts'
import { readFileSettings, settingsFile } from './sources.ts'

export const workspaceFileName = '.lacuna.json'

export interface WorkspaceFile {
  readonly path: string
  readonly found: boolean
  readonly restriction: Restriction
  readonly warnings: readonly string[]
}

export function readWorkspaceFile(folder: string, file: SmallFile): WorkspaceFile {
  const path = join(folder, workspaceFileName)
  const { restriction, warnings } = readFileSettings(settingsFile(path, file), defaultSettings, 'workspace')
  return { path, found: file.kind !== 'absent', restriction, warnings }
}
