/**
 * The one schema of settings, whoever sends them: initialization options, `workspace/configuration`, or a changed
 * configuration. Read key by key, so that one bad value never takes the others with it.
 */
import { z } from 'zod'

/** Execution providers by the names ONNX Runtime gives them; which of them exist depends on the platform. */
export const providerNames = ['cuda', 'coreml', 'dml', 'webgpu', 'cpu'] as const

const milliseconds = (most: number) => z.int().min(0).max(most)

export const settingsSchema = z.object({
  logLevel: z.enum(['error', 'warn', 'info', 'debug']).default('info').describe('How much goes to the log.'),
  completion: z.boolean().default(true).describe("Offer completions in the editor's menu; false: ghost text only."),
  inline: z.boolean().default(true).describe('Offer ghost text (inline completions).'),
  maxTokens: z.int().min(1).max(1024).default(64).describe('The longest completion, in tokens.'),
  showAbove: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe('What nobody asked for is shown as far as it is right with at least this probability; 0: all of it.'),
  completionBudgetMs: milliseconds(10_000)
    .default(80)
    .describe('When a request for the menu is answered at the latest.'),
  inlineBudgetMs: milliseconds(60_000)
    .default(500)
    .describe('When a request for ghost text is answered at the latest.'),
  invokedBudgetMs: milliseconds(600_000).default(5000).describe('The same when asked for by hand.'),
  debounceMs: milliseconds(10_000)
    .default(0)
    .describe(
      "Rest after a keystroke before the model is asked, the editor's own included; what is superseded stops between two passes anyway.",
    ),
  model: z
    .string()
    .min(1)
    .optional()
    .describe("The model: a bundle's folder or name. In the user's own settings (initialization options) only."),
  providers: z
    .array(z.enum(providerNames))
    .default(['cpu'])
    .describe(
      'Execution providers to try before cpu, the last resort: cuda, coreml, dml, webgpu. See "lacuna doctor". In the user\'s own settings only.',
    ),
  engine: z
    .string()
    .min(1)
    .optional()
    .describe(
      "A server of the Open Inference Protocol that computes the passes: https://HOST:PORT (http: on this machine only). Token ids of documents go there. In the user's own settings only.",
    ),
  engineElse: z
    .enum(['nothing', 'local'])
    .default('nothing')
    .describe("While that server is gone: no completions, or this machine computes. In the user's own settings only."),
})

export type Settings = Readonly<z.infer<typeof settingsSchema>>

export const defaultSettings: Settings = settingsSchema.parse({})

/**
 * Where settings come from. What a client answers to `workspace/configuration` is the user's and the workspace's in one,
 * and cannot be told apart; so the keys that only the user may set are not taken from it.
 */
export type SettingsScope = 'user' | 'merged'

export interface ReadSettings {
  readonly settings: Settings
  /** One for each key that was not understood, which then has its value from `base`. Sentences for the user. */
  readonly warnings: readonly string[]
}

const userOnly: ReadonlySet<string> = new Set(['model', 'providers', 'engine', 'engineElse'])
/** Under our section, but for the editor's extension. */
const foreign: ReadonlySet<string> = new Set(['trace', 'enable', 'path', 'command'])

/**
 * @param input settings, or an object that holds them under `lacuna`; null, undefined and `[]` (Lua's empty table) set
 *   nothing.
 * @param base what is in force where `input` says nothing.
 */
export function readSettings(
  input: unknown,
  base: Settings = defaultSettings,
  scope: SettingsScope = 'user',
): ReadSettings {
  const section = isObject(input) && 'lacuna' in input ? input.lacuna : input
  if (section === undefined || section === null || (Array.isArray(section) && section.length === 0)) {
    return { settings: base, warnings: [] }
  }
  if (!isObject(section)) {
    return { settings: base, warnings: [`lacuna: wanted an object of settings, found ${shown(section)}; ignored`] }
  }
  const settings: Record<string, unknown> = { ...base }
  const warnings: string[] = []
  for (const [key, value] of Object.entries(section)) {
    if (value === null || value === undefined || foreign.has(key)) continue
    const path = `lacuna.${key}`
    if (!isSetting(key)) {
      const names = Object.keys(settingsSchema.shape)
      const near = nearest(key, names)
      warnings.push(`${path}: no such setting; ${near ? `did you mean "${near}"?` : `there are ${names.join(', ')}`}`)
    } else if (scope === 'merged' && userOnly.has(key)) {
      // A workspace must not choose what is loaded. Said only where it would have changed something.
      if (JSON.stringify(value) !== JSON.stringify(base[key])) {
        warnings.push(
          `${path}: a workspace could set it here, so it is taken from the initialization options only; ignored`,
        )
      }
    } else {
      const read = settingsSchema.shape[key].safeParse(value)
      if (read.success) settings[key] = read.data
      else warnings.push(`${path}: ${complaint(key, value, read.error)}; ${stays(base[key])}`)
    }
  }
  return { settings: settings as Settings, warnings }
}

type Key = keyof typeof settingsSchema.shape

export function isSetting(key: string): key is Key {
  return Object.hasOwn(settingsSchema.shape, key)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function complaint(key: Key, value: unknown, error: z.ZodError): string {
  const problem = `${error.issues[0]!.message.replace(/^Invalid/, 'invalid')}, found ${shown(value)}`
  if (key !== 'logLevel' || typeof value !== 'string') return problem
  const near = nearest(value, ['error', 'warn', 'info', 'debug'])
  return near ? `${problem}; did you mean "${near}"?` : problem
}

function stays(value: unknown): string {
  return value === undefined ? 'it stays unset' : `it stays ${shown(value)}`
}

function shown(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length > 40 ? `${text.slice(0, 39)}…` : text
}

/** The candidate fewest single-letter edits away, case aside, a beginning counting as one; none when no likely slip. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined
  let fewest = Math.max(2, Math.floor(word.length / 2.5)) + 1
  for (const candidate of candidates) {
    const [a, b] = [word.toLowerCase(), candidate.toLowerCase()]
    const edits = a.startsWith(b) || (a.length > 2 && b.startsWith(a)) ? 1 : editDistance(a, b)
    if (edits < fewest) [best, fewest] = [candidate, edits]
  }
  return best
}

/** Levenshtein's. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, count) => count)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const kept = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(kept, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[to.length]!
}
