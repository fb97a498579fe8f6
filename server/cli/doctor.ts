/** `lacuna doctor`: is everything in place, and how fast is it here. */
import { availableParallelism, totalmem } from 'node:os'
import { messageOf } from '../base/errors.ts'
import { verifyBundle } from '../model/openBundle.ts'
import { resolveModel } from '../model/store.ts'
import { askedFor, fillGap } from '../session/fillGap.ts'
import type { Command } from './command.ts'
import { openRooms } from './openRooms.ts'
import { version } from './version.ts'

export const doctor: Command = {
  name: 'doctor',
  positionals: [],
  summary: 'Checks the model and the engine, and times a completion on this machine.',
  options: {
    model: { type: 'string', value: 'DIR', help: 'a model bundle, by folder or name (default: see "model use")' },
  },
  async run(args, { out }) {
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
      const opened = await openRooms(dir, { cache: true })
      const passed = opened.report.passedOver
        .map(({ provider, reason }) => `; ${provider} passed over: ${reason}`)
        .join('')
      return [opened, `onnx on ${opened.report.provider}, loaded in ${Math.round(opened.report.loadMs)} ms${passed}`]
    })
    if (!rooms) return 1
    try {
      const filled = await check('completion', async () => {
        const text =
          'def mean(values):\n    total = 0\n    for value in values:\n        total += \n    return total / len(values)\n'
        const request = {
          text,
          offset: text.indexOf('+= ') + 3,
          scope: 'line' as const,
          maxTokens: 8,
          certainty: askedFor,
        }
        const result = await fillGap(rooms, request, new AbortController().signal)
        if (result.kind === 'nothing') throw new Error(`the model filled nothing: ${result.reason}`)
        return [
          result,
          `"${result.edit.text}" in ${result.steps} steps, ${Math.round(result.ms.denoise / result.steps)} ms each`,
        ]
      })
      return filled ? 0 : 1
    } finally {
      await rooms.close()
    }
  },
}
