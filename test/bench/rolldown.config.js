import { defineConfig } from 'rolldown'

export default defineConfig({
  input: 'test/bench/bench.ts',
  platform: 'node',
  external: ['onnxruntime-node'],
  output: { dir: 'dist', format: 'esm', entryFileNames: 'bench.js', chunkFileNames: 'bench-[name].js' },
})
