import { defineConfig } from 'rolldown'

export default defineConfig({
  input: {
    bench: 'test/bench/bench.ts',
    exactLines: 'test/bench/exactLines.ts',
    fullSize: 'test/bench/fullSize.ts',
    twoHoles: 'test/bench/twoHoles.ts',
    gateCurve: 'test/bench/gateCurve.ts',
    gate: 'test/bench/gate.ts',
    lengths: 'test/bench/lengths.ts',
    hybrid: 'test/bench/hybrid.ts',
    hybridLines: 'test/bench/hybridLines.ts',
    servingParity: 'test/bench/servingParity.ts',
    verify: 'test/bench/verify.ts',
    benchProviders: 'test/bench/providers.ts',
    benchPeer: 'test/bench/peer.ts',
    benchSamplers: 'test/bench/samplers.ts',
    benchActions: 'test/bench/actions.ts',
    benchFilters: 'test/bench/filters/filters.ts',
    benchLoad: 'test/bench/load/load.ts',
  },
  platform: 'node',
  external: ['onnxruntime-node'],
  output: { dir: 'dist', format: 'esm', entryFileNames: '[name].js', chunkFileNames: 'bench-[name].js' },
})
