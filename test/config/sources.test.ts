import { mkdtemp, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { maxBytes } from '../../server/config/smallFile.ts'
import { readUserSettings, settingsInForce, userSettingsPath } from '../../server/config/sources.ts'

async function userFile(text: string) {
  const path = join(await mkdtemp(join(tmpdir(), 'lacuna-settings-')), 'config.json')
  await writeFile(path, text)
  return path
}

test('the file, the initialization options, the client: the later one counts, where it may', async () => {
  const path = await userFile(
    '{ "maxTokens": 1, "debounceMs": 1, "showAbove": 0.1, "model": "mine", "mode": "manual" }',
  )
  const client = { showAbove: 0.3, model: 'theirs', mode: 'off', ignored: ['x'] }
  const { settings, restriction, warnings } = settingsInForce(
    await readUserSettings(path),
    { debounceMs: 2, showAbove: 0.2, logFile: '/tmp/log' },
    client,
  )
  expect(settings).toMatchObject({ maxTokens: 1, debounceMs: 2, showAbove: 0.3, model: 'mine', mode: 'manual' })
  expect(settings.logFile).toBe('/tmp/log')
  expect(restriction).toEqual({ mode: 'off', ignored: ['x'] })
  expect(warnings).toEqual([
    'lacuna.model: a workspace could set it here, so it is taken from the initialization options and config.json only; ignored',
  ])
})

test('a bad key of the file is named with the file; a broken file by line and column, and sets nothing', async () => {
  const odd = await userFile('{ "lacuna": { "maxTokns": 1, "maxTokens": 9 } }')
  expect(settingsInForce(await readUserSettings(odd), undefined, undefined)).toMatchObject({
    settings: { maxTokens: 9 },
    warnings: [`${odd}: maxTokns: no such setting; did you mean "maxTokens"?`],
  })
  const broken = await userFile('{\n  "maxTokens": 9\n  "mode": "off"\n}')
  expect(settingsInForce(await readUserSettings(broken), { debounceMs: 3 }, undefined)).toMatchObject({
    settings: { maxTokens: 64, mode: 'auto', debounceMs: 3 },
    warnings: [`${broken}:3:3: wanted "," or "}", found "\\""; the file is ignored until that is mended`],
  })
  const list = await userFile('[1]')
  expect(settingsInForce(await readUserSettings(list), undefined, undefined).warnings).toEqual([
    `${list}: wanted an object of settings, found [1]; ignored`,
  ])
})

test('no file is no fault; a folder, or one without end, is', async () => {
  const path = await userFile('{}')
  expect(await readUserSettings(`${path}x`)).toEqual({ path: `${path}x`, found: false })
  expect((await readUserSettings(join(path, '..'))).problem).toContain('no plain file; the file is ignored')
  await writeFile(path, ' '.repeat(maxBytes + 1))
  expect((await readUserSettings(path)).problem).toContain(`at most ${maxBytes} are read`)
})

test("the user's own file may be a link, as those who keep such files in a repository have it", async () => {
  const path = await userFile('{ "maxTokens": 5 }')
  await symlink(path, `${path}.link`)
  expect((await readUserSettings(`${path}.link`)).value).toEqual({ maxTokens: 5 })
})

test('lies in the home of whoever runs the tests, which is not that of a person', () => {
  expect(userSettingsPath()).toBe(join(process.env.LACUNA_HOME!, 'config.json'))
})
