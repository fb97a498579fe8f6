/**
 * The settings that clients/vscode offers are the schema's: `UPDATE_README=1` (npm run schema) writes them.
 *
 * Two defaults are VS Code's own: it shows ghost text itself, so the menu is off, and it waits without blocking, so the whole
 * line a little later is worth more than half of it in time.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { settingsSchema } from '../../server/config/settings.ts'

const path = 'clients/vscode/package.json'
const defaults: Readonly<Record<string, unknown>> = { completion: false, inlineBudgetMs: 5000 }
/** Of the user alone, whatever a workspace says; those that the schema marks are added. */
const usersOwn = ['command', 'model', 'providers']

const command = {
  type: 'array',
  items: { type: 'string' },
  default: [],
  scope: 'machine',
  markdownDescription:
    'How the server is started, its arguments included: `["node", "/path/to/lacuna/dist/main.js", "--stdio"]`. Empty: `lacuna --stdio`.',
}

test('the extension offers the settings of the schema', () => {
  const manifest = JSON.parse(readFileSync(path, 'utf8'))
  const { properties } = z.toJSONSchema(settingsSchema, { io: 'input' }) as {
    properties: Record<string, Record<string, unknown>>
  }
  const mine = new Set([...usersOwn, ...Object.keys(properties).filter((key) => properties[key]!.setBy === 'user')])
  const offered = Object.entries(properties).map(([key, { setBy: _, description, ...schema }]) => [
    `lacuna.${key}`,
    {
      ...schema,
      ...(key in defaults ? { default: defaults[key] } : {}),
      ...(schema.default === undefined && !(key in defaults) ? { default: null, type: [schema.type, 'null'] } : {}),
      scope: mine.has(key) ? 'machine' : 'language-overridable',
      markdownDescription: description,
    },
  ])
  manifest.contributes.configuration.properties = { 'lacuna.command': command, ...Object.fromEntries(offered) }
  manifest.capabilities.untrustedWorkspaces.restrictedConfigurations = [...mine].map((key) => `lacuna.${key}`)
  const wanted = `${JSON.stringify(manifest, null, 2)}\n`
  if (process.env.UPDATE_README) writeFileSync(path, wanted)
  else expect(JSON.parse(readFileSync(path, 'utf8')), 'npm run schema').toEqual(JSON.parse(wanted))
})
