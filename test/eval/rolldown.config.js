import { defineConfig } from 'rolldown'

export default defineConfig({
  input: { eval: 'test/eval/eval.ts' },
  platform: 'node',
  external: ['onnxruntime-node'],
  output: { dir: 'dist', format: 'esm', entryFileNames: '[name].js', chunkFileNames: 'eval-[name].js' },
})
