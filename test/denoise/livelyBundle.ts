/**
 * A random bundle in float32, bidirectional as a rule, whose predictions hang on what stands around a slot, and gaps for it. With
 * weights as they are drawn, the embedding of a row drowns all that attention adds to it: every mask says "mask".
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { planGap, type Scope } from '../../server/infill/plan.ts'
import { convertModel } from '../../server/model/convert.ts'
import { fillGap, type Rooms } from '../../server/session/fillGap.ts'
import { askedFor } from '../../server/session/gaps.ts'
import type { SessionModel } from '../../server/session/sessionModel.ts'
import { randomFolder } from '../model/randomBundle.ts'

/** Peaked attention, loud layers; and a last norm that leaves some doubt. */
const loudness: readonly (readonly [name: RegExp, factor: number])[] = [
  [/q_proj/, 4],
  [/o_proj/, 10],
  [/down_proj/, 4],
  [/^model\.norm/, 0.35],
]

/** @returns the folder of the bundle. */
export async function livelyBundle(
  dir: string,
  logitsShift: 0 | 1,
  attention: 'bidirectional' | 'causal-context' = 'bidirectional',
): Promise<string> {
  const [source, bundle] = [join(dir, 'source'), join(dir, 'bundle')]
  const adapterRank = attention === 'bidirectional' ? 0 : 4
  await randomFolder(source, { attention, adapterRank, layers: 3, logitsShift }, 14)
  const path = join(source, 'model.safetensors')
  await writeFile(path, louder(await readFile(path)))
  await convertModel(source, bundle, { quant: 'f32', name: 'lively' })
  return bundle
}

/** The same file with other numbers. */
function louder(file: Buffer): Buffer {
  const start = 8 + Number(file.readBigUInt64LE())
  const header: Record<string, { data_offsets: [number, number] }> = JSON.parse(file.toString('utf8', 8, start))
  for (const [name, tensor] of Object.entries(header)) {
    const factor = loudness.find(([pattern]) => pattern.test(name))?.[1] ?? 1
    const [from, to] = tensor.data_offsets ?? [0, 0]
    for (let at = start + from; at < start + to; at += 4) file.writeFloatLE(file.readFloatLE(at) * factor, at)
  }
  return file
}

export const text = `class Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)
        return self

print(Stack().push(1))
`
export const maxTokens = 12
/** Random weights have no sense of ends: tokens that they like play the parts. */
export const livelyParts = { endIds: [4, 18, 214], expandId: 95 }

/** Offsets, without those where text is held back: a plain reference knows of no text that must come first. */
export function places(model: SessionModel): number[] {
  const all = Array.from({ length: Math.floor(text.length / 12) + 1 }, (_, i) => 12 * i)
  return all.filter((offset) => planGap(text, offset, model).held === '')
}

export function fillLively(rooms: Rooms, offset: number, change: Partial<SessionModel>, scope: Scope = 'line') {
  const model = { ...rooms.model, ...livelyParts, ...change }
  const request = { text, offset, scope, maxTokens, certainty: askedFor }
  return fillGap({ ...rooms, model }, request, new AbortController().signal)
}
