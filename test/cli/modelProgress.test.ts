/** The bar of downloads and conversions. */
import { expect, test } from 'vitest'
import { progressBar } from '../../server/cli/progressBar.ts'

function drawn(isTerminal: boolean) {
  const written: string[] = []
  let time = 0
  const bar = progressBar((text) => void written.push(text), 'downloading', {
    isTerminal,
    columns: 80,
    now: () => time,
  })
  return {
    written,
    bar,
    at(seconds: number, megabytes: number) {
      time = 1000 * seconds
      bar.update({ doneBytes: 1e6 * megabytes, totalBytes: 1e8 })
    },
  }
}

test('on a terminal: one line that is drawn over, with rate and time left', () => {
  const { written, bar, at } = drawn(true)
  at(0, 0)
  at(1, 10)
  at(1.01, 10.1) // too soon
  at(2, 20)
  expect(written).toEqual([
    '\r\x1b[Kdownloading [##......................] 10 %, 10.0 MB/s, 9 s left',
    '\r\x1b[Kdownloading [#####...................] 20 %, 10.0 MB/s, 8 s left',
  ])
  bar.note('cut; again in 1 s')
  bar.end()
  expect(written.slice(2)).toEqual(['\r\x1b[Kcut; again in 1 s\n', '\r\x1b[K'])
})

test('elsewhere: at most one line in 10 s', () => {
  const { written, at, bar } = drawn(false)
  for (let second = 0; second <= 25; second++) at(second, second)
  bar.end()
  expect(written).toEqual(['downloading: 10 %, 1.0 MB/s, 2 min left\n', 'downloading: 20 %, 1.0 MB/s, 2 min left\n'])
})

test('what an earlier run fetched does not count for the rate, nor does what is begun anew', () => {
  const { written, at } = drawn(true)
  at(0, 90)
  at(1, 91)
  expect(written.at(-1)).toContain('91 %, 1.0 MB/s, 9 s left')
  at(2, 0)
  at(3, 1)
  expect(written.at(-1)).toContain('1 %, 1.0 MB/s')
})
