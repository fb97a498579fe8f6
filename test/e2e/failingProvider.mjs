/**
 * Preloaded into a server: "webgpu" computes on the processor, and after some passes is lost, as a device is. The server
 * itself knows nothing of this.
 */
import { isMainThread } from 'node:worker_threads'

if (!isMainThread) {
  const { default: ort } = await import('onnxruntime-node')
  const create = ort.InferenceSession.create.bind(ort.InferenceSession)
  let passesLeft = Number(process.env.PASSES_UNTIL_LOST)
  ort.InferenceSession.create = async (graph, { preferredOutputLocation, ...options }) => {
    if (options.executionProviders[0] !== 'webgpu') return create(graph, options)
    const session = await create(graph, { ...options, executionProviders: ['cpu'] })
    if (preferredOutputLocation) return session // carries rows, and computes no pass
    const run = session.run.bind(session)
    session.run = async (...args) => {
      if (--passesLeft < 0) throw new Error('the device is lost')
      return run(...args)
    }
    return session
  }
}
