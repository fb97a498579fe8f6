import { expect, test } from 'vitest'
import { table } from './table.ts'

test('plain figures stand on one line, nested ones under their name', () => {
  const figures = { ms: { p50: 1.5, p95: 2 }, by: { python: { keys: 3 } }, machine: 'a', none: undefined }
  expect(table(figures).split('\n')).toEqual([
    `ms${' '.repeat(34)} p50 1.5  p95 2`,
    'by',
    `  python${' '.repeat(28)} keys 3`,
    `machine${' '.repeat(29)} a`,
    '',
  ])
})
