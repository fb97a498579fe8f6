#!/usr/bin/env node
/** The process: arguments in, exit code out. */
import { Console } from 'node:console'

// Before anything else is loaded: whatever a library prints must not land among protocol messages (invariant 6).
globalThis.console = new Console(process.stderr, process.stderr)

const { run } = await import('./cli/run.ts')
process.exitCode = await run(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  stdin: process.stdin,
})
