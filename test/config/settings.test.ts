import { expect, test } from 'vitest'
import { nearest } from '../../server/config/nearest.ts'
import { readSettings } from '../../server/config/readSettings.ts'
import { modeIn, strictest } from '../../server/config/restriction.ts'
import { defaultSettings, isSetting, type Settings, settingNames, whoMaySet } from '../../server/config/settings.ts'

const changed = (input: unknown, changes: Partial<Settings>) =>
  expect(readSettings(input)).toEqual({ settings: { ...defaultSettings, ...changes }, restriction: {}, warnings: [] })

test('nothing said: the defaults', () => {
  for (const input of [undefined, null, {}, [], { lacuna: {} }, { lacuna: null }, { lacuna: [] }]) changed(input, {})
  expect(defaultSettings).toEqual({
    mode: 'auto',
    languages: {},
    ignored: [],
    menuWhenManual: false,
    logLevel: 'info',
    logText: false,
    completion: true,
    inline: true,
    nearby: true,
    maxTokens: 64,
    showAbove: 0.5,
    completionBudgetMs: 80,
    inlineBudgetMs: 500,
    invokedBudgetMs: 5000,
    providers: ['cpu'],
    engineElse: 'nothing',
    engineContract: 'auto',
  })
})

test('reads what is set, bare or under its section', () => {
  changed({ maxTokens: 32, completion: false }, { maxTokens: 32, completion: false })
  changed({ lacuna: { logLevel: 'debug' }, python: { x: 1 } }, { logLevel: 'debug' })
})

test('an unset key of the editor is no value', () => changed({ model: null, maxTokens: null }, {}))

test("keys of the editor's extension are left alone", () => changed({ trace: { server: 'verbose' } }, {}))

test('a misspelt key is named with its nearest; the rest stays in force', () => {
  const { settings, warnings } = readSettings({ maxToken: 32, debounceMs: 10 })
  expect(settings).toEqual({ ...defaultSettings, debounceMs: 10 })
  expect(warnings).toEqual(['lacuna.maxToken: no such setting; did you mean "maxTokens"?'])
})

test('a key near to none gets the list', () => {
  expect(readSettings({ colour: 'red' }).warnings[0]).toMatch(
    /^lacuna\.colour: no such setting; there are mode, languages, /,
  )
})

test('a bad value is named with what was found and what stays', () => {
  const { settings, warnings } = readSettings({ maxTokens: '32', completionBudgetMs: -1, inline: false })
  expect(settings).toEqual({ ...defaultSettings, inline: false })
  expect(warnings).toEqual([
    'lacuna.maxTokens: invalid input: expected number, received string, found "32"; it stays 64',
    'lacuna.completionBudgetMs: Too small: expected number to be >=0, found -1; it stays 80',
  ])
})

test('a bad value of a closed list gets the nearest good one', () => {
  expect(readSettings({ logLevel: 'warning' }).warnings[0]).toContain(
    'found "warning"; did you mean "warn"?; it stays "info"',
  )
})

test('what is no object at all', () => {
  expect(readSettings('fast').warnings).toEqual(['lacuna: wanted an object of settings, found "fast"; ignored'])
  expect(readSettings({ lacuna: [1] }).settings).toEqual(defaultSettings)
})

test('later layers stand on earlier ones', () => {
  const base = readSettings({ maxTokens: 8, debounceMs: 5 }).settings
  expect(readSettings({ maxTokens: 'many', inline: false }, base).settings).toEqual({ ...base, inline: false })
})

test('a workspace cannot choose the model', () => {
  const base = readSettings({ model: 'mine' }).settings
  const read = readSettings({ model: '/repo/evil' }, base, 'merged')
  expect(read.settings.model).toBe('mine')
  expect(read.warnings[0]).toContain('lacuna.model: a workspace could set it here')
  expect(readSettings({ model: 'mine' }, base, 'merged').warnings).toEqual([])
})

test('a workspace cannot choose what computes', () => {
  const base = readSettings({ providers: ['webgpu', 'cpu'] }).settings
  const read = readSettings({ providers: ['cuda'] }, base, 'merged')
  expect(read.settings.providers).toEqual(['webgpu', 'cpu'])
  expect(read.warnings[0]).toContain('lacuna.providers: a workspace could set it here')
  expect(readSettings({ providers: ['webgpu', 'cpu'] }, base, 'merged').warnings).toEqual([])
})

test('a workspace cannot choose where text goes', () => {
  const mine = { engine: 'https://mine.example/v1/fim/completions', engineModel: 'mine' }
  const base = readSettings(mine).settings
  const evil = { engine: 'https://evil.example/v1/completions', engineModel: 'evil', engineElse: 'local' }
  for (const scope of ['merged', 'workspace'] as const) {
    const { settings, warnings } = readSettings(evil, base, scope)
    expect(settings).toEqual(base)
    expect(warnings).toHaveLength(3)
  }
})

test('a provider that does not exist is named, and the rest stays', () => {
  const { settings, warnings } = readSettings({ providers: ['webgl'] })
  expect(settings.providers).toEqual(['cpu'])
  expect(warnings[0]).toMatch(/^lacuna\.providers: .*"webgpu".*found \["webgl"\]; it stays \["cpu"\]$/)
})

test('a mode for each language; a bad one is named by its path and costs no more than itself', () => {
  const { settings, warnings } = readSettings({ languages: { python: 'of', markdown: 'off', go: 1 } })
  expect(settings.languages).toEqual({ markdown: 'off' })
  expect(warnings).toEqual([
    'lacuna.languages.python: invalid option: expected one of "auto"|"manual"|"off", found "of"; did you mean "off"?; ignored',
    'lacuna.languages.go: invalid option: expected one of "auto"|"manual"|"off", found 1; ignored',
  ])
  expect(readSettings({ languages: 'python' }).warnings[0]).toContain('found "python"; it stays {}')
})

test('what the client answers may restrict: beside the settings, not in them', () => {
  const base = readSettings({ mode: 'manual', ignored: ['a'] }).settings
  const read = readSettings({ mode: 'auto', languages: { go: 'off' }, ignored: ['b'], maxTokens: 3 }, base, 'merged')
  expect(read.settings).toEqual({ ...base, maxTokens: 3 })
  expect(read.restriction).toEqual({ mode: 'auto', languages: { go: 'off' }, ignored: ['b'] })
  expect(read.warnings).toEqual([])
})

test('a file of a workspace may restrict and nothing else', () => {
  const input = { mode: 'off', model: 'evil', maxTokens: 3, ignord: ['x'], $schema: 'settings.schema.json' }
  const read = readSettings(input, defaultSettings, 'workspace', '.lacuna.json: ')
  expect(read.settings).toEqual(defaultSettings)
  expect(read.restriction).toEqual({ mode: 'off' })
  expect(read.warnings).toEqual([
    '.lacuna.json: model: not allowed in a workspace, which may only restrict (mode, languages, ignored); ignored',
    '.lacuna.json: maxTokens: not allowed in a workspace, which may only restrict (mode, languages, ignored); ignored',
    '.lacuna.json: ignord: no such setting; did you mean "ignored"?',
  ])
})

test('whatever leads out of the editor, or to other files, is set by the user alone', () => {
  const names = settingNames.filter((name) => isSetting(name) && whoMaySet(name) === 'user')
  expect(names).toEqual([
    'nearby',
    'model',
    'providers',
    'engine',
    'engineModel',
    'engineElse',
    'engineContract',
    'logFile',
    'logText',
  ])
})

test('of several opinions the strictest counts', () => {
  expect(strictest([])).toBe('auto')
  expect(strictest(['auto', 'off', 'manual'])).toBe('off')
  expect(strictest(['manual', 'auto'])).toBe('manual')
  expect(modeIn({ mode: 'off', languages: { go: 'auto' } }, 'go')).toBe('auto')
  expect(modeIn({ mode: 'off', languages: { go: 'auto' } }, 'c')).toBe('off')
  expect(modeIn({}, 'constructor')).toBe('auto')
})

test('names of Object.prototype are no settings', () => {
  expect(readSettings(JSON.parse('{"__proto__": 1, "constructor": 2}')).warnings).toHaveLength(2)
})

test('nearest', () => {
  const names = ['maxTokens', 'inline', 'completion']
  expect(nearest('INLINE', names)).toBe('inline')
  expect(nearest('max_tokens', names)).toBe('maxTokens')
  expect(nearest('completions', names)).toBe('completion')
  expect(nearest('zebra', names)).toBeUndefined()
})
