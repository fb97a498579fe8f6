/** A completion of known text, timed: what a model on a provider is worth on this machine. */
import { messageOf } from '../base/errors.ts'
import { fillGap } from '../session/fillGap.ts'
import { askedFor } from '../session/gaps.ts'
import { type OpenRooms, openRooms } from './openRooms.ts'
import { needs } from './providers.ts'

export interface Timed {
  readonly text: string
  readonly steps: number
  readonly stepMs: number // mean
  readonly encodeMs: number // of the first one: the second finds the context read
}

/** The second of two: the first pays for what is made once, such as a device's programs. */
export async function timedCompletion(rooms: OpenRooms): Promise<Timed> {
  const text =
    'def mean(values):\n    total = 0\n    for value in values:\n        total += \n    return total / len(values)\n'
  const request = {
    text,
    offset: text.indexOf('+= ') + 3,
    scope: 'line' as const,
    maxTokens: 8,
    certainty: askedFor,
  }
  const first = await fillGap(rooms, request, new AbortController().signal)
  const result = await fillGap(rooms, request, new AbortController().signal)
  if (result.kind === 'nothing') throw new Error(`the model filled nothing: ${result.reason}`)
  const { steps, ms } = result
  return { text: result.edit.text, steps, stepMs: ms.denoise / steps, encodeMs: first.ms.encode }
}

/** What a provider would be worth here. Never chosen by itself: see `engine/onnx/providerChain.ts`. */
export async function tried(dir: string, provider: string, wanted: Timed): Promise<string> {
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
    return `works here: ${same}, ${shownMs(found.stepMs)} ms a step; ${advice}`
  } catch (error) {
    return `cannot be used here: ${messageOf(error)}`
  } finally {
    await rooms.close()
  }
}

export function shownMs(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : ms.toFixed(0)
}
