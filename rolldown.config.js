import { defineConfig } from 'rolldown'

const shared = { platform: 'node', external: ['onnxruntime-node'] }

export default defineConfig([
  {
    ...shared,
    input: { main: 'server/main.ts', worker: 'server/engine/onnx/worker.ts' },
    output: { dir: 'dist', format: 'esm', chunkFileNames: '[name].js' },
  },
])
