/** `npm run fuzz`: sessions of a client that says anything, against the real server. `-- --help` tells the options. */
import { parseArgs } from 'node:util'
import { fuzz } from './fuzz.ts'
import { reportOf } from './report.ts'

const help = `npm run fuzz -- [options]
  --messages N   sent at least (default 100000; with --process 300)
  --seed N       everything random follows from it (default 1)
  --session N    that session alone, as a failure says
  --process      the built server as a process of its own, with the embedded model; slow, and not the same twice
  --history      prints all messages of a failing session
`
const { values } = parseArgs({
  options: {
    messages: { type: 'string' },
    seed: { type: 'string', default: '1' },
    session: { type: 'string' },
    process: { type: 'boolean' },
    history: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
})
if (values.help) {
  process.stdout.write(help)
  process.exit(0)
}
const seed = whole('seed', values.seed)
const messages = whole('messages', values.messages ?? (values.process ? '300' : '100000'))
const session = values.session === undefined ? undefined : whole('session', values.session)
const began = performance.now()
let told = 0
const summary = await fuzz({
  seed,
  messages,
  ownProcess: values.process ?? false,
  ...(session === undefined ? {} : { session }),
  onSession: ({ messages: done, sessions }) => {
    if (done - told < 10_000) return
    told = done
    process.stderr.write(`${done} messages, ${sessions} sessions\n`)
  },
})
process.stdout.write(reportOf(summary, `npm run fuzz -- --seed ${seed}${values.process ? ' --process' : ''}`))
process.stdout.write(`${((performance.now() - began) / 1000).toFixed(1)} s\n`)
if (values.history) for (const message of summary.failure?.history ?? []) process.stdout.write(`${message}\n`)
process.exit(summary.failure ? 1 : 0)

function whole(name: string, value: string): number {
  const number = Number(value)
  if (Number.isInteger(number) && number >= 0) return number
  process.stderr.write(`--${name} ${value}: wanted a whole number\n`)
  process.exit(2)
}
