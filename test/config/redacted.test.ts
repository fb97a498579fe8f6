import { expect, test } from 'vitest'
import { redacted, withoutSecrets } from '../../server/config/redacted.ts'
import { defaultSettings } from '../../server/config/settings.ts'

test('no password, no token, no name of a person', () => {
  const settings = { ...defaultSettings, model: '/home/ada/models/x', logFile: '/var/log/x', apiToken: 'hunter2' }
  expect(redacted(settings, '/home/ada')).toEqual({
    ...defaultSettings,
    model: '~/models/x',
    logFile: '/var/log/x',
    apiToken: '(not shown)',
  })
})

test('addresses without who asks, and without what may be a key', () => {
  expect(withoutSecrets('https://ada:pw@host:1/v2?key=abc#x', '/home/ada')).toBe(
    'https://(not shown)@host:1/v2?(not shown)',
  )
  expect(withoutSecrets('http://127.0.0.1:8000', '/home/ada')).toBe('http://127.0.0.1:8000')
  expect(withoutSecrets('/home/adam/x', '/home/ada')).toBe('/home/adam/x')
  expect(withoutSecrets('C:\\Users\\ada\\x', 'C:\\Users\\ada')).toBe('~\\x')
})
