/**
 * The one schema of settings. Everything else is made from it: what is read (`readSettings.ts`), the JSON Schema
 * (`settings.schema.json`) and the table in README.md, both written by `npm run schema`.
 *
 * `setBy` says who may set a key. `user`: only the user's own sources, since whoever chooses it chooses what is loaded or
 * where text goes. `restrict`: a workspace too, but only to allow less. `anyone`: whatever the editor answers.
 */
import { z } from 'zod'

/** Execution providers by the names ONNX Runtime gives them; which of them exist depends on the platform. */
export const providerNames = ['cuda', 'coreml', 'dml', 'webgpu', 'cpu'] as const

/** When completions are made, from the most to the least: unasked, only by hand, never. */
export const modes = ['auto', 'manual', 'off'] as const
export type Mode = (typeof modes)[number]

export type SetBy = 'user' | 'restrict' | 'anyone'

const milliseconds = (most: number) => z.int().min(0).max(most)
const mode = z.enum(modes)
const user = { setBy: 'user' } satisfies { setBy: SetBy }
const restrict = { setBy: 'restrict' } satisfies { setBy: SetBy }

export const settingsSchema = z.object({
  mode: mode
    .default('auto')
    .meta(restrict)
    .describe('auto: completions come unasked. manual: ghost text asked for by hand only. off: none at all.'),
  languages: z
    .record(z.string().min(1), mode)
    .default({})
    .meta(restrict)
    .describe('A mode for single languages, by their identifier in the editor: { "markdown": "off" }.'),
  ignored: z
    .array(z.string().min(1))
    .default([])
    .meta(restrict)
    .describe(
      'Files that get no completions unasked, in the words of .gitignore, from the workspace folder on. Those of the user may also take files out with "!", secret and git-ignored ones included.',
    ),
  menuWhenManual: z
    .boolean()
    .default(false)
    .describe('In mode manual, answer the menu too: for editors whose own automatic completion is switched off.'),
  completion: z.boolean().default(true).describe("Offer completions in the editor's menu; false: ghost text only."),
  inline: z.boolean().default(true).describe('Offer ghost text (inline completions).'),
  nearby: z
    .boolean()
    .default(true)
    .meta(user)
    .describe(
      'Hear what other open documents, and files of the same kind beside this one or near it in the project, say comes next. Private files never.',
    ),
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
    .describe(
      'When a request for ghost text is answered at the latest. While the model is being opened it waits for that first.',
    ),
  invokedBudgetMs: milliseconds(600_000).default(5000).describe('The same when asked for by hand.'),
  debounceMs: milliseconds(10_000)
    .optional()
    .describe(
      "Rest after a keystroke before the model is asked, the editor's own included. Default: none, since what is superseded stops between two passes; where gaps are filled in one request elsewhere, half of what answers take, 300 at most.",
    ),
  model: z.string().min(1).optional().meta(user).describe("The model: a bundle's folder or name."),
  providers: z
    .array(z.enum(providerNames))
    .default(['cpu'])
    .meta(user)
    .describe(
      'Execution providers to try before cpu, the last resort: cuda, coreml, dml, webgpu. See "lacuna doctor".',
    ),
  engine: z
    .string()
    .min(1)
    .optional()
    .meta(user)
    .describe(
      'A server of the Open Inference Protocol that computes the passes: https://HOST:PORT (http: on this machine only). Token ids of documents go there. Or one that fills gaps: https://HOST/v1/fim/completions, or /v1/completions where it takes a suffix. Text around the cursor goes there.',
    ),
  engineModel: z
    .string()
    .min(1)
    .optional()
    .meta(user)
    .describe('The model as that server calls it; one that fills gaps needs it.'),
  engineElse: z
    .enum(['nothing', 'local'])
    .default('nothing')
    .meta(user)
    .describe('While that server is gone: no completions until it is back, or this machine computes.'),
  engineContract: z
    .enum(['auto', 'steps'])
    .default('auto')
    .meta(user)
    .describe(
      'What that server is asked. auto: to fill gaps whole, one request each, where it offers that. steps: pass after pass.',
    ),
  logLevel: z.enum(['error', 'warn', 'info', 'debug']).default('info').describe('How much goes to the log.'),
  logFile: z
    .string()
    .min(1)
    .optional()
    .meta(user)
    .describe(
      'A file that the log is written to as well, by its full path; at 1 MB it is begun anew, two older ones are kept.',
    ),
  logText: z
    .boolean()
    .default(false)
    .meta(user)
    .describe('Let the log hold text of documents: completions, at level debug. Never otherwise.'),
})

export type Settings = Readonly<z.infer<typeof settingsSchema>>
export type Key = keyof typeof settingsSchema.shape

export const defaultSettings: Settings = settingsSchema.parse({})

export const settingNames: readonly string[] = Object.keys(settingsSchema.shape)

export function isSetting(key: string): key is Key {
  return Object.hasOwn(settingsSchema.shape, key)
}

export function whoMaySet(key: Key): SetBy {
  return (settingsSchema.shape[key].meta()?.setBy as SetBy | undefined) ?? 'anyone'
}

/** As JSON Schema (draft 2020-12), of what may be written: nothing is required. */
export function settingsJsonSchema(): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(settingsSchema, { io: 'input' })
  // Files may name their own schema.
  const patternProperties = { '^\\$schema$': { type: 'string' } }
  return { $schema, title: 'Settings of Lacuna', ...rest, patternProperties, additionalProperties: false }
}
