/** What a step costs: by rows, against the weights alone, and against doing without any cache. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { engineOptions, type OpenRooms } from '../../server/cli/openRooms.ts'
import { int8Graph } from '../../server/engine/onnx/int8Session.ts'
import { defaultThreads } from '../../server/engine/onnx/onnxEngine.ts'
import { planGap } from '../../server/infill/plan.ts'
import { bundleShape, readModelConfig } from '../../server/model/modelConfig.ts'
import { type Bundle, openBundle } from '../../server/model/openBundle.ts'
import { fillGap } from '../../server/session/fillGap.ts'
import { askedFor } from '../../server/session/gaps.ts'
import { naiveStep, rooflineGraph, sessionOptions } from './rawSession.ts'
import { median, rounded } from './stats.ts'

const open = new AbortController().signal
const askedRows = 4

export async function stepCost(rooms: OpenRooms, text: string, offsets: readonly number[]) {
  const bundle = await openBundle(rooms.dir)
  const options = engineOptions(bundle)
  const shape = bundleShape(await readModelConfig(rooms.dir), bundle.manifest)
  const full = await openFull(bundle)
  const roofline = await openRoofline(rooflineGraph(shape), bundle)
  const steps = await byRows(rooms, roofline, shape.width)
  const naive = await againstNaive(rooms, full, options, text, offsets)
  await full.release()
  await roofline.release()
  return { ...steps, ...naive }
}

/** The same products as ours, over everything. */
async function openFull({ graphPath, int8 }: Bundle): Promise<ort.InferenceSession> {
  const threads = defaultThreads()
  if (!int8) return ort.InferenceSession.create(graphPath, sessionOptions(threads))
  const { graph, plain, folded } = await int8Graph(graphPath, int8, threads)
  return ort.InferenceSession.create(graph, { ...sessionOptions(threads), externalData: folded ?? plain })
}

async function openRoofline(graph: Uint8Array, bundle: Bundle): Promise<ort.InferenceSession> {
  const externalData = await Promise.all(
    bundle.graph.externalData.slice(0, 2).map(async (file) => ({
      path: file.replace(/^onnx\//, ''),
      data: await readFile(join(bundle.dir, file)),
    })),
  )
  return ort.InferenceSession.create(graph, { ...sessionOptions(defaultThreads()), externalData })
}

/** Milliseconds of a step with 448 rows of context, and what only its matrices take, in turn. */
async function byRows({ engine, model }: OpenRooms, roofline: ort.InferenceSession, width: number) {
  const context = 448
  const [encoding] = await engine.encode([{ ids: Array.from({ length: context }, (_, i) => 100 + i) }], open)
  const stepMs: Record<string, number> = {}
  const ratios: Record<string, number> = {}
  for (const rows of [9, 17, 25, 33]) {
    const [own, bare]: [number[], number[]] = [[], []]
    const x = new ort.Tensor('float32', new Float32Array(rows * width).fill(0.1), [rows, width])
    const asked = new ort.Tensor('int64', BigInt64Array.of(BigInt(askedRows)), [1])
    for (let round = 0; round < 40; round++) {
      let began = performance.now()
      await engine.step(
        [
          {
            ids: [500, ...Array<number>(rows - 1).fill(model.maskId)],
            positions: Array.from({ length: rows }, (_, i) => context + i),
            context: [{ id: encoding!.id, rows: context, firstPosition: 0 }],
            asked: Array.from({ length: askedRows }, (_, i) => context + 1 + i),
            setIds: model.lineBreakIds,
          },
        ],
        open,
      )
      own.push(performance.now() - began)
      began = performance.now()
      await roofline.run({ x, asked })
      bare.push(performance.now() - began)
    }
    stepMs[rows] = rounded(median(own.slice(5)))
    ratios[rows] = rounded(median(own.slice(5)) / median(bare.slice(5)), 2)
  }
  engine.release([encoding!.id])
  return { step_ms: stepMs, step_over_roofline: ratios }
}

/**
 * Whole completions after a keystroke, ours with its encoding, against passes over everything: as many as ours took, and
 * one for each token and the end, as it takes where nothing guesses ahead.
 */
async function againstNaive(
  rooms: OpenRooms,
  session: ort.InferenceSession,
  options: ReturnType<typeof engineOptions>,
  text: string,
  offsets: readonly number[],
) {
  const [asMany, aTokenAPass]: [number[], number[]] = [[], []]
  for (const offset of offsets) {
    const request = {
      text,
      offset,
      scope: 'line' as const,
      maxTokens: 24,
      certainty: askedFor, // the whole line
    }
    // The place is warm up to the word before, as it is while somebody types.
    await fillGap(rooms, { ...request, text: text.slice(0, offset - 3) + text.slice(offset), offset: offset - 3 }, open)
    let began = performance.now()
    const filled = await fillGap(rooms, request, open)
    const cached = performance.now() - began
    const { prefixIds, suffixIds } = planGap(text, offset, rooms.model)
    const slotIds = Array<number>(rooms.model.canvasSlots).fill(rooms.model.maskId)
    began = performance.now()
    for (let step = 0; step < filled.steps; step++) {
      await naiveStep(session, options, { prefixIds, slotIds, suffixIds }, askedRows)
    }
    const naive = performance.now() - began
    asMany.push(cached / naive)
    aTokenAPass.push(cached / ((naive / filled.steps) * (filled.tokens + 1)))
  }
  return {
    cached_over_naive: rounded(median(asMany), 3),
    cached_over_naive_a_token_a_pass: rounded(median(aTokenAPass), 3),
  }
}
