/** `lacuna doctor`: is everything in place, and how fast is it here. */
import { availableParallelism, totalmem } from 'node:os'
import { messageOf } from '../base/errors.ts'
import { verifyBundle } from '../model/openBundle.ts'
import { resolveModel } from '../model/store.ts'
import { askedFor, fillGap } from '../session/fillGap.ts'
import type { Command } from './command.ts'
import { type OpenRooms, openRooms } from './openRooms.ts'
import { needs, parseProviders, providersOf } from './providers.ts'
import { version } from './version.ts'

export const doctor: Command = {
  name: 'doctor',
  positionals: [],
  summary: 'Checks the model and the engine, and times a completion on this machine.',
  options: {
    model: { type: 'string', value: 'DIR', help: 'a model bundle, by folder or name (default: see "model use")' },
    providers: {
      type: 'string',
      value: 'NAMES',
      help: 'execution providers to try before cpu, as in the setting of that name; the others are only told about',
    },
  },
  async run(args, { out }) {
    const providers = parseProviders(args.text('providers') ?? 'cpu')
    const check = async <Result>(what: string, work: () => Promise<[Result, string]>): Promise<Result | undefined> => {
      try {
        const [result, found] = await work()
        out(`ok    ${what}: ${found}\n`)
        return result
      } catch (error) {
        out(`FAIL  ${what}: ${messageOf(error)}\n`)
        return undefined
      }
    }
    out(
      `lacuna ${version}, node ${process.version}, ${process.platform} ${process.arch}, ${availableParallelism()} threads, `,
    )
    out(`${(totalmem() / 2 ** 30).toFixed(0)} GiB\n`)
    const dir = await check('model folder', async () => {
      const found = await resolveModel(args.text('model'))
      return [found, found]
    })
    if (!dir) return 2
    const intact = await check('model files', async () => {
      const verdicts = await verifyBundle(dir)
      const bad = verdicts.filter(({ problem }) => problem)
      if (bad.length > 0) throw new Error(bad.map(({ path, problem }) => `${path}: ${problem}`).join('; '))
      return [true, `${verdicts.length} files, sizes and sha256 as lacuna.json says`]
    })
    if (!intact) return 2
    const rooms = await check('engine', async () => {
      const opened = await openRooms(dir, { cache: true, providers })
      const passed = opened.report.passedOver.map((one) => `; ${one.provider} passed over: ${one.reason}`).join('')
      return [opened, `onnx on ${opened.report.provider}, loaded in ${Math.round(opened.report.loadMs)} ms${passed}`]
    })
    if (!rooms) return 1
    let timed: Timed | undefined
    try {
      timed = await check('completion', async () => {
        const found = await timedCompletion(rooms)
        return [found, `"${found.text}" in ${found.steps} steps, ${shown(found.stepMs)} ms each`]
      })
    } finally {
      await rooms.close()
    }
    if (!timed) return 1
    // After all else: a driver that takes the process with it must not hide what was found before.
    for (const provider of providersOf(process.platform, process.arch)) {
      if (!providers.includes(provider)) out(`note  ${provider}: ${await tried(dir, provider, timed)}\n`)
    }
    return 0
  },
}

interface Timed {
  readonly text: string
  readonly steps: number
  readonly stepMs: number
}

/** The second of two: the first pays for what is made once, such as a device's programs. */
async function timedCompletion(rooms: OpenRooms): Promise<Timed> {
  const text =
    'def mean(values):\n    total = 0\n    for value in values:\n        total += \n    return total / len(values)\n'
  const request = {
    text,
    offset: text.indexOf('+= ') + 3,
    scope: 'line' as const,
    maxTokens: 8,
    certainty: askedFor,
  }
  await fillGap(rooms, request, new AbortController().signal)
  const result = await fillGap(rooms, request, new AbortController().signal)
  if (result.kind === 'nothing') throw new Error(`the model filled nothing: ${result.reason}`)
  return { text: result.edit.text, steps: result.steps, stepMs: result.ms.denoise / result.steps }
}

/** What a provider would be worth here. Never chosen by itself: see `engine/onnx/providerChain.ts`. */
async function tried(dir: string, provider: string, wanted: Timed): Promise<string> {
  const rooms = await openRooms(dir, { cache: true, providers: [provider] })
  try {
    const found = rooms.report.provider === provider ? await timedCompletion(rooms) : undefined
    const failed = rooms.report.passedOver.find((one) => one.provider === provider)
    if (!found || failed) {
      const hint = needs[provider] ? `; ${needs[provider]}` : ''
      return `cannot be used here: ${failed?.reason ?? 'no reason given'}${hint}`
    }
    const same = found.text === wanted.text ? 'the same completion' : `another completion ("${found.text}")`
    const advice = found.stepMs < wanted.stepMs ? `set "providers" to ["${provider}"] to use it` : 'no gain'
    return `works here: ${same}, ${shown(found.stepMs)} ms a step; ${advice}`
  } catch (error) {
    return `cannot be used here: ${messageOf(error)}`
  } finally {
    await rooms.close()
  }
}

function shown(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : ms.toFixed(0)
}
