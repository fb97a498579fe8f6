/** One session on one execution provider, as the engine wants it. */
import * as ort from 'onnxruntime-node'
import type { EngineOptions } from './protocol.ts'

// Libraries that a provider lacks are told as its reason, not on stderr as well.
ort.env.logLevel = 'fatal'

/** A list with a provider that is missing throws instead of falling back, so there is one name alone. */
export function openSession(options: EngineOptions, provider: string): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(options.graphPath, {
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
