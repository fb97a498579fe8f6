/** The table of settings in README.md is made from the schema; `npm run schema` writes it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { settingsSchema } from '../../server/config/settings.ts'

const path = new URL('../../README.md', import.meta.url)
const [begin, end] = ['<!-- settings:begin (generated: npm run schema) -->\n', '<!-- settings:end -->']

function table(): string {
  const { properties = {} } = z.toJSONSchema(settingsSchema, { io: 'input' })
  const rows = Object.entries(properties).map(([key, value]) => {
    const { type, enum: choices, default: usual, description } = value as Record<string, unknown>
    const kind = Array.isArray(choices) ? choices.join(', ') : String(type)
    return `| \`${key}\` | ${kind} | ${usual === undefined ? '' : String(usual)} | ${description} |`
  })
  return ['| setting | kind | default | |', '|---|---|---|---|', ...rows, ''].join('\n')
}

test('README lists the settings as they are', () => {
  const readme = readFileSync(path, 'utf8')
  const from = readme.indexOf(begin) + begin.length
  const wanted = readme.slice(0, from) + table() + readme.slice(readme.indexOf(end))
  if (process.env.UPDATE_README) writeFileSync(path, wanted)
  else expect(readme, 'run "npm run schema"').toBe(wanted)
})
