/**
 * From what somebody wrote to settings, key by key: a bad value never takes the others with it, and is named by its path,
 * with the nearest good name. Pure; where the text comes from is `sources.ts`.
 */
import type { z } from 'zod'
import { beginningOf } from '../base/spans.ts'
import { nearest, suggestion } from './nearest.ts'
import type { Restriction } from './restriction.ts'
import {
  defaultSettings,
  isSetting,
  type Key,
  type Settings,
  settingNames,
  settingsSchema,
  whoMaySet,
} from './settings.ts'

/**
 * `user`: sources that are the user's alone. `merged`: what a client answers to `workspace/configuration`, which is the
 * user's and the workspace's in one, and cannot be told apart. `workspace`: a file of the workspace.
 */
export type SettingsScope = 'user' | 'merged' | 'workspace'

export interface ReadSettings {
  readonly settings: Settings
  /** What was said of modes and ignored files by a source that may only restrict; `settings` does not hold it. */
  readonly restriction: Restriction
  /** One for each key that was not taken, which then has its value from `base`. Sentences for the user. */
  readonly warnings: readonly string[]
}

/** Under our section, but for the editor's extension; and what editors write into JSON files for themselves. */
const foreign: ReadonlySet<string> = new Set(['trace', 'enable', 'path', 'command', '$schema'])

/**
 * @param input settings, or an object that holds them under `lacuna`; null, undefined and `[]` (Lua's empty table) set
 *   nothing.
 * @param base what is in force where `input` says nothing.
 * @param where how the source is called in warnings, up to the key.
 */
export function readSettings(
  input: unknown,
  base: Settings = defaultSettings,
  scope: SettingsScope = 'user',
  where = 'lacuna.',
): ReadSettings {
  const section = isObject(input) && 'lacuna' in input ? input.lacuna : input
  const nothing = { settings: base, restriction: {} }
  if (section === undefined || section === null || (Array.isArray(section) && section.length === 0)) {
    return { ...nothing, warnings: [] }
  }
  if (!isObject(section)) {
    const source = where.replace(/[.:]\s*$/, '')
    return { ...nothing, warnings: [`${source}: wanted an object of settings, found ${shown(section)}; ignored`] }
  }
  const settings: Record<string, unknown> = { ...base }
  const restriction: Record<string, unknown> = {}
  const warnings: string[] = []
  for (const [key, value] of Object.entries(section)) {
    if (value === null || value === undefined || foreign.has(key)) continue
    const path = `${where}${key}`
    if (!isSetting(key)) {
      const names = scope === 'workspace' ? restrictingNames : settingNames
      warnings.push(`${path}: no such setting; ${suggestion(key, names)}`)
      continue
    }
    const refused = refusal(key, value, base, scope)
    if (refused !== undefined) {
      if (refused !== '') warnings.push(`${path}: ${refused}`)
      continue
    }
    const into = scope !== 'user' && whoMaySet(key) === 'restrict' ? restriction : settings
    const read = readValue(key, value)
    if ('value' in read) into[key] = read.value
    const rest = 'value' in read ? 'ignored' : stays(into[key])
    warnings.push(...read.complaints.map(({ at, text }) => `${[path, ...at].join('.')}: ${text}; ${rest}`))
  }
  return { settings: settings as Settings, restriction, warnings }
}

const restrictingNames = settingNames.filter((name) => isSetting(name) && whoMaySet(name) === 'restrict')

/** Why a source may not set a key; empty when it would have changed nothing anyway. */
function refusal(key: Key, value: unknown, base: Settings, scope: SettingsScope): string | undefined {
  const setBy = whoMaySet(key)
  switch (scope) {
    case 'user':
      return undefined
    case 'merged':
      if (setBy !== 'user') return undefined
      return JSON.stringify(value) === JSON.stringify(base[key])
        ? ''
        : 'a workspace could set it here, so it is taken from the initialization options and config.json only; ignored'
    case 'workspace':
      return setBy === 'restrict'
        ? undefined
        : `not allowed in a workspace, which may only restrict (${restrictingNames.join(', ')}); ignored`
  }
}

interface Complaint {
  readonly at: readonly string[] // within the value
  readonly text: string
}

/** Of a table, entries that are no good are left out; of everything else, a fault takes the whole value. */
function readValue(key: Key, value: unknown): { value?: unknown; complaints: readonly Complaint[] } {
  const schema = settingsSchema.shape[key]
  const read = schema.safeParse(value)
  if (read.success) return { value: read.data, complaints: [] }
  const { issues } = read.error
  if (key !== 'languages' || !isObject(value)) return { complaints: [{ at: [], text: complaint(issues[0]!, value) }] }
  const bad = new Set(issues.map(({ path }) => String(path[0])))
  const complaints = issues.map((issue) => {
    const at = issue.path.map(String)
    return { at, text: complaint(issue, value[at[0]!]) }
  })
  return { value: Object.fromEntries(Object.entries(value).filter(([name]) => !bad.has(name))), complaints }
}

function complaint(issue: z.core.$ZodIssue, value: unknown): string {
  const problem = `${issue.message.replace(/^Invalid/, 'invalid')}, found ${shown(value)}`
  if (issue.code !== 'invalid_value' || typeof value !== 'string') return problem
  const near = nearest(value, issue.values.map(String))
  return near ? `${problem}; did you mean "${near}"?` : problem
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function stays(value: unknown): string {
  return value === undefined ? 'it stays unset' : `it stays ${shown(value)}`
}

function shown(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length > 40 ? `${beginningOf(text, 39)}…` : text
}
