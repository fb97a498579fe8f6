/** Where text may be sent; and that no message about an address repeats what is secret in it. */
import { expect, test } from 'vitest'
import { UserError } from '../../server/base/errors.ts'
import { remoteAddress } from '../../server/base/remote.ts'

test.each([
  'https://ada:hunter2@host:99999999/',
  'ada:hunter2@host:8000',
  'https:///ada:hunter2@',
  'https://ada:hunter2@host',
  'https://host:99999999/?key=hunter2',
  'ftp://ada:hunter2@host/',
])('of %s nothing secret is repeated', (text) => {
  const refused = () => remoteAddress(text, 'engine')
  expect(refused).toThrow(UserError)
  expect(refused).toThrow(/^engine: /)
  expect(refused).not.toThrow(/hunter2/)
})

test('what is no address is shown as far as it may be', () => {
  expect(() => remoteAddress('host', 'engine')).toThrow('found "host"')
  expect(() => remoteAddress('host:8000', 'engine')).toThrow('found one that begins with "host:"')
})
