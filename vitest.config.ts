import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    env: {
      LACUNA_HOME: join(tmpdir(), 'lacuna-test-home'), // not the models of whoever runs the tests
      ORT_DISABLE_TELEMETRY: '1', // for tests that open a session themselves
    },
    
    globalSetup: ['test/build.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Native sessions must not share a process with a thread that may be torn down: one process a file.
    pool: 'forks',
    maxWorkers: 2,
  },
})
