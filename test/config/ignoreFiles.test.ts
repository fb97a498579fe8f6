import { expect, test } from 'vitest'
import { IgnoreFiles } from '../../server/config/ignoreFiles.ts'

test('a walk through very many folders keeps no more than a thousand files', async () => {
  const files = new IgnoreFiles()
  for (let folder = 0; folder < 700; folder++) await files.verdict(`/nowhere/${folder}/main.py`, [`/nowhere/${folder}`])
  expect(files.keptCount).toBeGreaterThan(1)
  expect(files.keptCount).toBeLessThanOrEqual(1024)
})
