/** The JSON Schema and the table of settings in README.md are made from the schema; `npm run schema` writes both. */
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { settingsJsonSchema } from '../../server/config/settings.ts'

const readmePath = new URL('../../README.md', import.meta.url)
const schemaPath = new URL('../../server/config/settings.schema.json', import.meta.url)
const [begin, end] = ['<!-- settings:begin (generated: npm run schema) -->\n', '<!-- settings:end -->']

interface Property {
  readonly type: string
  readonly enum?: readonly string[]
  readonly default?: unknown
  readonly description: string
  readonly setBy?: string
}

function table(): string {
  const { properties } = settingsJsonSchema() as { properties: Readonly<Record<string, Property>> }
  const rows = Object.entries(properties).map(([key, { type, enum: choices, default: usual, description, setBy }]) => {
    const kind = choices?.join(', ') ?? type
    const usually = usual === undefined ? '' : typeof usual === 'object' ? JSON.stringify(usual) : String(usual)
    const who = setBy === 'user' ? 'you alone' : setBy === 'restrict' ? 'you; a workspace may restrict' : 'you'
    return `| \`${key}\` | ${kind} | ${usually} | ${who} | ${description} |`
  })
  return ['| setting | kind | default | set by | |', '|---|---|---|---|---|', ...rows, ''].join('\n')
}

function compare(path: URL, found: string, wanted: string): void {
  if (process.env.UPDATE_README) writeFileSync(path, wanted)
  else expect(found, 'run "npm run schema"').toBe(wanted)
}

test('README lists the settings as they are', () => {
  const readme = readFileSync(readmePath, 'utf8')
  const from = readme.indexOf(begin) + begin.length
  compare(readmePath, readme, readme.slice(0, from) + table() + readme.slice(readme.indexOf(end)))
})

test('the JSON Schema is up to date', () => {
  const wanted = `${JSON.stringify(settingsJsonSchema(), null, 2)}\n`
  compare(schemaPath, process.env.UPDATE_README ? '' : readFileSync(schemaPath, 'utf8'), wanted)
})

test('each setting is described, and none is required', () => {
  const { properties, required } = settingsJsonSchema() as { properties: Record<string, Property>; required?: unknown }
  expect(Object.entries(properties).filter(([, { description }]) => !description?.endsWith('.'))).toEqual([])
  expect(required).toBeUndefined()
})
