import { expect, test } from 'vitest'
import { type Panel, plotSvg } from './plot.ts'

const panel = (series: Panel['series'], scale: 'linear' | 'log2' = 'log2'): Panel => ({
  title: 'p',
  x: { label: 'steps', scale },
  y: { label: 'ms', scale: 'linear' },
  series,
})

const pointsIn = (svg: string): number[][][] =>
  [...svg.matchAll(/points="([^"]+)" fill="none"/g)].map((match) =>
    match[1]!.split(' ').map((point) => point.split(',').map(Number)),
  )

test('powers of two stand at equal distances, larger values further up', () => {
  const [[a, b, c] = []] = pointsIn(
    plotSvg({
      title: 't',
      panels: [
        panel([
          {
            name: 's',
            points: [
              [1, 0],
              [2, 50],
              [4, 100],
            ],
          },
        ]),
      ],
    }),
  )
  expect(b![0]! - a![0]!).toBeCloseTo(c![0]! - b![0]!, 0)
  expect(a![1]! - b![1]!).toBeCloseTo(b![1]! - c![1]!, 0)
  expect(a![1]).toBeGreaterThan(c![1]!)
})

test('a series has one colour in all panels and one line in the legend', () => {
  const one = { name: 'one', points: [[1, 1]] as const }
  const two = { name: 'two', points: [[2, 3]] as const }
  const svg = plotSvg({ title: 't', panels: [panel([one, two]), panel([two], 'linear')] })
  const strokes = [...svg.matchAll(/<polyline [^>]*stroke="([^"]+)"/g)].map((match) => match[1])
  expect(strokes[2]).toBe(strokes[1])
  expect(strokes[0]).not.toBe(strokes[1])
  expect(svg.match(/>two</g)).toHaveLength(1)
})

test('text is text', () => {
  expect(plotSvg({ title: 'a < b & c', panels: [panel([{ name: 's', points: [[1, 1]] }])] })).toContain(
    'a &lt; b &amp; c',
  )
})
