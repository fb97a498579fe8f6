/** The part of `lacuna doctor` that needs no model: which files were read, what is in force, what restricts a workspace. */
import { homedir } from 'node:os'
import { join, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { LogFile } from '../base/logFile.ts'
import { redacted, withoutSecrets } from '../config/redacted.ts'
import { defaultSettings, type Settings } from '../config/settings.ts'
import type { SettingsFile } from '../config/sources.ts'
import { WorkspaceRules } from '../config/workspaceRules.ts'
import type { DoctorReport } from './doctorReport.ts'

export function reportSettings(
  report: DoctorReport,
  file: SettingsFile,
  settings: Settings,
  warnings: readonly string[],
): void {
  report.line('ok', 'settings file', `${tilde(file.path)}${file.found ? '' : ' (none; all as by default)'}`)
  for (const warning of warnings) report.line('FAIL', 'settings', tilde(warning))
  const shown = redacted(settings, homedir())
  report.item('settings', shown)
  const changed = Object.entries(shown).filter(
    ([key, value]) => JSON.stringify(value) !== JSON.stringify(defaultSettings[key as keyof Settings]),
  )
  const list = changed.map(([key, value]) => `${key} ${JSON.stringify(value)}`).join(', ')
  report.note('settings', `${list || 'all as by default'}; an editor may send others`)
  const log = settings.logFile === undefined ? undefined : new LogFile(settings.logFile)
  report.note(
    'log',
    log ? `stderr, and ${tilde(log.path)}` : 'stderr, which editors keep; the setting logFile names a file',
  )
}

/** @param folder as if an editor had opened it. */
export async function reportWorkspace(report: DoctorReport, folder: string, settings: Settings): Promise<void> {
  const warnings: string[] = []
  const rules = new WorkspaceRules({
    folders: () => [folder],
    ignored: () => ({ user: settings.ignored, merged: [] }),
    now: () => performance.now(),
    warn: (sentences) => void warnings.push(...sentences),
  })
  // Of a file right there, which need not exist.
  const { files, restrictions } = await rules.of(pathToFileURL(join(folder, 'lacuna-doctor.txt')).href)
  const names = files.map((file) => (file.startsWith(folder + sep) ? file.slice(folder.length + 1) : tilde(file)))
  report.note('ignore files here', names.join(', ') || 'none')
  const said = restrictions.filter((restriction) => Object.keys(restriction).length > 0)
  if (said.length > 0) report.note('this workspace restricts', said.map((one) => JSON.stringify(one)).join(', '))
  for (const warning of warnings) report.line('FAIL', 'workspace', tilde(warning))
}

/** Home folders anywhere in a sentence. */
function tilde(text: string): string {
  const home = homedir()
  return withoutSecrets(home === '' || home === sep ? text : text.replaceAll(home + sep, `~${sep}`), home)
}
