import { describe, expect, test } from 'vitest'
import { GhostWatch, judge, type Offer, type Sight, viewOf } from './ghost.ts'
import { wouldTake } from './person.ts'

const offer: Offer = { place: { line: 3, character: 2 }, text: 'return x', replaces: 0 }

describe('what an editor shows', () => {
  const view = (line: string, character: number, of = offer) => viewOf(of, line, { line: 3, character })

  test('the offer, less what was typed of it', () => {
    expect(view('  ', 2)).toEqual({ text: 'return x', stale: false })
    expect(view('  ret', 5)).toEqual({ text: 'urn x', stale: false })
    expect(view('  return x', 10)).toEqual({ text: '', stale: false })
  })
  test('stands there out of date once something else was typed', () => {
    expect(view('  rx', 4)).toEqual({ text: 'turn x', stale: true })
  })
  test('nothing on another line, and left of where it begins', () => {
    expect(viewOf(offer, '  ', { line: 4, character: 2 }).text).toBe('')
    expect(view(' ', 1).text).toBe('')
  })
})

test.each([
  ['value)', 0, 'value)', '', 'whole'],
  ['value', 0, 'value)', '', 'beginning'],
  ['val', 0, 'value)', '', 'beginning'],
  ['value)', 1, 'value', ')', 'whole'], // the bracket that stands there is replaced by itself
  ['value)', 0, 'value', ')', 'wrong'], // and would come twice
  ['other', 0, 'value)', '', 'wrong'],
  ['value);', 0, 'value)', '', 'wrong'], // more than is wanted
  ['x', 0, '', '', 'wrong'], // the line is finished
  ['value', 0, undefined, '', 'wrong'], // a slip must be corrected first
] as const)('%j replacing %i where %j is wanted before %j is %s', (shown, replaces, wanted, after, verdict) => {
  expect(judge(shown, replaces, wanted, after)).toBe(verdict)
})

test.each([
  ['return x', 'return x', true],
  ['return', 'return x', true], // to the end of a word
  ['retu', 'return x', false], // not that far
  ['x)', 'x)', false], // not worth a look
  ['foo(', 'foo(bar)', true],
  ['return y', 'return x', false],
])('a person is shown %j, wants %j, and takes it: %j', (shown, wanted, takes) => {
  expect(wouldTake(shown, 0, wanted, '')).toBe(takes)
})

describe('what a person sees', () => {
  const shows = (text: string) => ({ text, stale: false })
  const sight = (text: string, verdict: Sight['verdict'] = 'wrong'): Sight => ({ line: '', text, wanted: '', verdict })

  test('a ghost text that grows and is typed into is one, and no flicker', () => {
    const watch = new GhostWatch()
    watch.answered(shows('ab'), sight('ab', 'beginning'), 10)
    watch.pressed(shows('b'))
    watch.answered(shows('bc'), sight('bc', 'whole'), 20)
    watch.pressed(shows('c'))
    watch.answered(shows('c'), sight('c'), 30)
    expect(watch.current?.since).toBe(20)
    watch.pressed(shows(''))
    expect(watch.ghosts).toEqual([sight('bc', 'whole')])
    expect(watch.flickers).toEqual([])
  })
  test('one that is replaced, cut short or withdrawn under the eyes is a flicker each time', () => {
    const watch = new GhostWatch()
    watch.answered(shows('abc'), sight('abc'), 0)
    watch.answered(shows('xy'), sight('xy'), 0)
    watch.answered(shows('x'), sight('x'), 0)
    watch.answered(shows(''), sight(''), 0)
    expect(watch.flickers.map(({ from, to }) => [from, to])).toEqual([
      ['abc', 'xy'],
      ['xy', 'x'],
      ['x', ''],
    ])
    expect(watch.ghosts.map(({ text }) => text)).toEqual(['abc', 'xy', 'x'])
  })
  test('one that was typed away from may go: that is no flicker', () => {
    const watch = new GhostWatch()
    watch.answered(shows('abc'), sight('abc'), 0)
    watch.pressed({ text: 'bc', stale: true })
    expect(watch.ghosts).toEqual([])
    watch.answered(shows('yz'), sight('yz'), 5)
    expect(watch.flickers).toEqual([])
    expect(watch.ghosts.map(({ text }) => text)).toEqual(['abc'])
    expect(watch.current?.text).toBe('yz')
  })
  test('one that is left behind is counted', () => {
    const watch = new GhostWatch()
    watch.answered(shows('abc'), sight('abc'), 0)
    watch.end()
    expect(watch.ghosts).toHaveLength(1)
    expect(watch.flickers).toEqual([])
  })
})
