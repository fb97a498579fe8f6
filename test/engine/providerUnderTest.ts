/**
 * The suites of the engine on another execution provider: `LACUNA_PROVIDER=webgpu npx vitest run test/engine
 * test/oracle/parity.test.ts`. It must do the work then, or the test fails with its reason.
 */
import { type OnnxEngine, openOnnxEngine } from '../../server/engine/onnx/onnxEngine.ts'
import type { EngineOptions } from '../../server/engine/onnx/protocol.ts'

export const providerUnderTest = process.env.LACUNA_PROVIDER ?? 'cpu'

export function openUnderTest(options: EngineOptions): Promise<OnnxEngine> {
  return openOnnxEngine({ ...options, providers: [providerUnderTest] })
}
