import { defineConfig } from 'rolldown'

export default defineConfig({
  input: { fuzz: 'test/fuzz/main.ts' },
  platform: 'node',
  external: ['onnxruntime-node', /^vitest/],
  output: { dir: 'dist', format: 'esm', entryFileNames: '[name].js', chunkFileNames: 'fuzz-[name].js' },
})
