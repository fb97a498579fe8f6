/**
 * `npm run bench`: speed and memory on this machine, as ratios wherever machines differ. `-- --json` prints one object.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openRooms } from '../../server/cli/openRooms.ts'
import { resolveModel } from '../../server/model/store.ts'
import { rounded } from './stats.ts'
import { stepCost } from './stepCost.ts'
import { typing } from './typing.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    places: { type: 'string', default: '16' },
    help: { type: 'boolean', short: 'h' },
  },
})
if (values.help) {
  process.stdout.write(
    'npm run bench -- [--json] [--places N]   N: places typed at in the keystroke bench (default 16)\n',
  )
  process.exit(0)
}
// Runs from the build folder.
const root = fileURLToPath(new URL('../', import.meta.url))
const text = readFileSync(`${root}test/bench/files/graph.ts.txt`, 'utf8')

const began = performance.now()
execFileSync(process.execPath, [`${root}dist/main.js`, 'complete', `${root}test/bench/files/stack.py:18:16`])
const coldMs = performance.now() - began

const rooms = await openRooms(await resolveModel())
const keystrokes = await typing(rooms, text, Number(values.places))
const rssMb = process.memoryUsage.rss() / 1e6
const offsets = [...text.matchAll(/ = g\.op\('/g)]
  .map(({ index }) => index + 8)
  .filter((_, i) => i % 5 === 0)
  .slice(0, 6)
const steps = await stepCost(rooms, text, offsets)
await rooms.close()

const figures = {
  ...keystrokes,
  ...steps,
  cold_ms: rounded(coldMs, 0),
  rss_mb: rounded(rssMb, 0),
  model: rooms.model.name,
  canvas_slots: rooms.model.canvasSlots,
  machine: `${cpus()[0]?.model.trim()}, ${availableParallelism()} threads, node ${process.version}`,
}
if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`)
else
  for (const [name, figure] of Object.entries(figures))
    process.stdout.write(`${name.padEnd(24)}${JSON.stringify(figure)}\n`)
