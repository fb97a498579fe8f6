/**
 * `lacuna doctor`: is everything in place, and how fast is it here. Settings and files first, which need no model; then
 * the model, the engine and a completion. Whatever it prints may be passed on: no passwords, no name of a home folder.
 */
import { availableParallelism, homedir, totalmem } from 'node:os'
import { messageOf } from '../base/errors.ts'
import { withoutSecrets } from '../config/redacted.ts'
import { readUserSettings, settingsInForce } from '../config/sources.ts'
import { defaultThreads } from '../engine/onnx/onnxEngine.ts'
import { verifyBundle } from '../model/openBundle.ts'
import { resolveModel } from '../model/store.ts'
import type { Command } from './command.ts'
import { DoctorReport } from './doctorReport.ts'
import { reportSettings, reportWorkspace } from './doctorSettings.ts'
import { openRooms } from './openRooms.ts'
import { parseProviders, providersOf } from './providers.ts'
import { shownMs, type Timed, timedCompletion, tried } from './timedCompletion.ts'
import { version } from './version.ts'

export const doctor: Command = {
  name: 'doctor',
  positionals: [],
  summary: 'Checks settings, model and engine, and times a completion on this machine.',
  details:
    'Looks at the settings of the user and at the workspace it is started in. What it prints holds no password and no token.',
  options: {
    model: {
      type: 'string',
      value: 'DIR',
      help: 'a model bundle, by folder or name (default: as the server takes it)',
    },
    providers: {
      type: 'string',
      value: 'NAMES',
      help: 'execution providers to try before cpu, as in the setting of that name; the others are only told about',
    },
    json: { type: 'boolean', help: 'print one JSON object' },
  },
  async run(args, { out }) {
    const json = args.flag('json')
    const report = new DoctorReport(json ? () => {} : out)
    const code = await examine(args.text('model'), args.text('providers'), report)
    if (json) out(`${JSON.stringify({ code, ...report.asJson() }, null, 2)}\n`)
    return code
  },
}

async function examine(
  givenModel: string | undefined,
  givenProviders: string | undefined,
  report: DoctorReport,
): Promise<number> {
  const named = givenProviders === undefined ? undefined : parseProviders(givenProviders)
  report.machine({
    ...{ lacuna: version, node: process.version, platform: `${process.platform} ${process.arch}` },
    ...{ processors: availableParallelism(), engineThreads: defaultThreads() },
    memoryGiB: Math.round(totalmem() / 2 ** 30),
  })
  const file = await readUserSettings()
  const { settings, warnings } = settingsInForce(file, undefined, undefined)
  reportSettings(report, file, settings, warnings)
  await reportWorkspace(report, process.cwd(), settings)

  const dir = await report.check('model folder', async () => {
    const found = await resolveModel(givenModel ?? settings.model)
    return { result: found, found: withoutSecrets(found, homedir()) }
  })
  if (!dir) return 2
  const intact = await report.check('model files', async () => {
    const began = performance.now()
    const verdicts = await verifyBundle(dir)
    const bad = verdicts.filter(({ problem }) => problem)
    if (bad.length > 0) throw new Error(bad.map(({ path, problem }) => `${path}: ${problem}`).join('; '))
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    for (const { path, bytes, sha256 } of verdicts) report.item('file', { path, bytes, sha256 })
    return { result: true, found: `${verdicts.length} files, sizes and sha256 as lacuna.json says (${seconds} s)` }
  })
  if (!intact) return 2
  const providers = named ?? [...settings.providers]
  const rooms = await report.check('engine', async () => {
    const opened = await openRooms(dir, { cache: true, providers })
    const { provider, loadMs, passedOver } = opened.report
    const passed = passedOver.map((one) => `; ${one.provider} passed over: ${one.reason}`).join('')
    return { result: opened, found: `onnx on ${provider}, loaded in ${Math.round(loadMs)} ms${passed}` }
  })
  if (!rooms) return 1
  let timed: Timed | undefined
  try {
    timed = await report.check('completion', async () => {
      const found = await timedCompletion(rooms)
      const { text, steps, stepMs, encodeMs } = found
      report.item('timing', { steps, stepMs, encodeMs })
      const spent = `"${text}" in ${steps} steps, ${shownMs(stepMs)} ms each`
      return { result: found, found: `${spent}; the context read in ${shownMs(encodeMs)} ms` }
    })
  } finally {
    await rooms.close()
  }
  if (!timed) return 1
  if (settings.engine !== undefined) {
    const place = withoutSecrets(settings.engine, homedir())
    report.note('engine setting', `completions are computed by ${place}; what is timed here is this machine`)
  }
  // After all else: a driver that takes the process with it must not hide what was found before.
  for (const provider of providersOf(process.platform, process.arch)) {
    if (!providers.some((one) => one === provider))
      report.note(provider, await tried(dir, provider, timed).catch(messageOf))
  }
  return 0
}
