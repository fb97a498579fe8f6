/** One session on one execution provider, as the engine wants it. */
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { buildGraph } from '../../model/graph.ts'
import { int8File, int8Tensors, int8Weights } from '../../model/int8Weights.ts'
import { layoutBundle } from '../../model/layout.ts'
import type { EngineOptions } from './protocol.ts'

// Libraries that a provider lacks are told as its reason, not on stderr as well.
ort.env.logLevel = 'fatal'

/** A list with a provider that is missing throws instead of falling back, so there is one name alone. */
export async function openSession(options: EngineOptions, provider: string): Promise<ort.InferenceSession> {
  const { graph, externalData } = await graphFor(options, provider)
  return ort.InferenceSession.create(graph as string, {
    ...(externalData ? { externalData } : {}),
    executionProviders: [provider],
    intraOpNumThreads: options.deterministic ? 1 : options.threads,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    // Shapes vary from pass to pass: a pattern would be kept for each, and an arena grows to the sum of their peaks.
    enableMemPattern: false,
    enableCpuMemArena: false,
    extra: {
      session: { intra_op: { allow_spinning: options.deterministic ? '0' : '1' }, force_spinning_stop: '1' },
    },
  })
}

async function graphFor({ graphPath, int8 }: EngineOptions, provider: string) {
  if (provider !== 'cpu' || int8 === undefined) return { graph: graphPath }
  const { tensors } = layoutBundle(int8, 'q4_1')
  const data = await int8Weights(graphPath, int8, tensors)
  const files = [...new Set([...tensors.values()].map(({ file }) => file))]
  const externalData = [
    ...(await Promise.all(files.map(async (path) => ({ path, data: await readFile(join(dirname(graphPath), path)) })))),
    { path: int8File, data },
  ]
  return { graph: buildGraph(int8, int8Tensors(int8, tensors)), externalData }
}
