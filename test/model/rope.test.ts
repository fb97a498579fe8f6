/** Numbers are those of transformers 4.57.6, `ROPE_INIT_FUNCTIONS`; the families' oracle runs whole networks with them. */
import { expect, test } from 'vitest'
import { ropeOf } from '../../server/model/rope.ts'

test('plain: theta to the power of −2i/headDim', () => {
  const { inverseFrequencies, amplitude } = ropeOf({ theta: 10000 }, 8)
  expect(amplitude).toBe(1)
  for (const [i, wanted] of [1, 0.1, 0.01, 0.001].entries()) expect(inverseFrequencies[i]).toBeCloseTo(wanted, 7)
})

test.each([
  [
    { kind: 'linear', factor: 4 } as const,
    [0.25, 0.04848069, 0.009401508, 0.001823166, 0.0003535534, 6.856205e-5, 1.329574e-5, 2.578346e-6],
    1,
  ],
  [
    { kind: 'llama3', factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalLength: 8192 } as const,
    [1.0, 0.1939228, 0.03760603, 0.007292665, 0.000524846, 3.428102e-5, 6.64787e-6, 1.289173e-6],
    1,
  ],
  [
    { kind: 'yarn', factor: 4, betaFast: 32, betaSlow: 1, originalLength: 32768, amplitude: 1.138629436 } as const,
    [1.0, 0.1939228, 0.03760603, 0.007292665, 0.00106066, 0.0001371241, 1.329574e-5, 2.578346e-6],
    1.138629436,
  ],
])('scaled as transformers scales: $kind', (scaling, wanted, wantedAmplitude) => {
  const { inverseFrequencies, amplitude } = ropeOf({ theta: 500000, scaling }, 16)
  expect(amplitude).toBe(wantedAmplitude)
  for (const [i, value] of wanted.entries()) expect(inverseFrequencies[i]! / value).toBeCloseTo(1, 5)
})
