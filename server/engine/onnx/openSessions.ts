/** What passes run on, on one execution provider. */
import * as ort from 'onnxruntime-node'
import { openCarrier } from './devicePast.ts'
import { int8Graph } from './int8Session.ts'
import type { EngineOptions } from './protocol.ts'

// Libraries that a provider lacks are told as its reason, not on stderr as well.
ort.env.logLevel = 'fatal'

/** By the kind of a pass's rows; one and the same session where the graph tells the kinds apart, or need not. */
export interface Sessions {
  readonly text: ort.InferenceSession
  readonly canvas: ort.InferenceSession
  /** Carries keys and values to where passes are computed, on a device that keeps them. */
  readonly carrier?: ort.InferenceSession
}

/** A list with a provider that is missing throws instead of falling back, so there is one name alone. */
export async function openSessions(options: EngineOptions, provider: string): Promise<Sessions> {
  const { graphPath, int8 } = options
  const runOptions = sessionOptions(options, provider)
  if (provider !== 'cpu' || int8 === undefined) {
    const session = await ort.InferenceSession.create(graphPath, runOptions)
    if (provider !== 'webgpu') return sameFor(session)
    const carrier = openCarrier(options, { ...runOptions, preferredOutputLocation: 'gpu-buffer' })
    return { ...sameFor(session), carrier: await beside(session, carrier) }
  }
  const { graph, plain, folded } = await int8Graph(graphPath, int8, runOptions.intraOpNumThreads!)
  const text = await ort.InferenceSession.create(graph, { ...runOptions, externalData: plain })
  if (!folded) return sameFor(text)
  const canvas = ort.InferenceSession.create(graph, { ...runOptions, externalData: folded })
  return { text, canvas: await beside(text, canvas) }
}

/** Where what is opened beside a session fails, the session does not stay open. */
async function beside<Opened>(session: ort.InferenceSession, opening: Promise<Opened>): Promise<Opened> {
  try {
    return await opening
  } catch (error) {
    await session.release()
    throw error
  }
}

export async function releaseSessions({ text, canvas, carrier }: Sessions): Promise<void> {
  await carrier?.release()
  await text.release()
  if (canvas !== text) await canvas.release()
}

function sameFor(session: ort.InferenceSession): Sessions {
  return { text: session, canvas: session }
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
