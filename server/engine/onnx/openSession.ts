/** One session on one execution provider, as the engine wants it. */
import * as ort from 'onnxruntime-node'
import { int8Graph } from './int8Session.ts'
import type { EngineOptions } from './protocol.ts'

// Libraries that a provider lacks are told as its reason, not on stderr as well.
ort.env.logLevel = 'fatal'

/** A list with a provider that is missing throws instead of falling back, so there is one name alone. */
export async function openSession(options: EngineOptions, provider: string): Promise<ort.InferenceSession> {
  const { graphPath, int8 } = options
  if (provider !== 'cpu' || int8 === undefined)
    return ort.InferenceSession.create(graphPath, sessionOptions(options, provider))
  const { graph, externalData } = await int8Graph(graphPath, int8)
  return ort.InferenceSession.create(graph, { ...sessionOptions(options, provider), externalData })
}

function sessionOptions(options: EngineOptions, provider: string): ort.InferenceSession.SessionOptions {
  return {
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
  }
}
