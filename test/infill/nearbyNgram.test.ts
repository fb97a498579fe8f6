import { describe, expect, test } from 'vitest'
import { believed, type Match, type NearbyNgramParts, nearbyNgram } from '../../server/infill/nearbyNgram.ts'
import { parseMarked } from '../markup.ts'

/** Tokens are words with the space before them, or single characters; ids are what they spell, numbered as they come. */
const words: string[] = []
const encode = (text: string) =>
  (text.match(/ ?[A-Za-z_]+|[\s\S]/g) ?? []).map((word) => {
    if (!words.includes(word)) words.push(word)
    return words.indexOf(word)
  })
const decode = (ids: readonly number[]) => ids.map((id) => words[id]).join('')

/** What is recalled behind `leading`, spelled; `$` is the end. */
function recalled(marked: string, leading = '', parts: Partial<NearbyNgramParts> = {}, others: string[] = []) {
  const { text, cursor } = parseMarked(marked)
  const held = parts.held ?? ''
  const before = text.slice(0, cursor! - held.length)
  const recall = nearbyNgram(before, text.slice(cursor!), others, {
    held,
    encode,
    decode,
    endsAtLineBreak: true,
    ...parts,
  })
  return recall(encode(leading)).map(({ id }) => (id === 'end' ? '$' : words[id]!))
}

describe('what a file says should come next', () => {
  test('is what followed the longest match, to the end of its line', () => {
    expect(recalled('total += item.price * rate\ncount += item.price║')).toEqual([' ', '*', ' rate', '$'])
  })

  test('stands right of the gap as well as left of it', () => {
    expect(recalled('self.par║\nself.parts.clear()\n')).toEqual(['ts', '.', 'clear', '(', ')', '$'])
  })

  test('goes on behind what is committed, whatever that is', () => {
    expect(recalled('a = left_side + 1\nsum = right_side + 2\nsum = ║', 'right_side')).toEqual([
      ' ',
      '+',
      ' ',
      '2',
      '$',
    ])
  })

  test('begins with what is held back', () => {
    expect(recalled('return values + 1\nx\n  return ║', '', { held: ' ' })).toEqual([
      ' values',
      ' ',
      '+',
      ' ',
      '1',
      '$',
    ])
  })

  test('of several places is what most of them say; where they do not agree, nothing is believed', () => {
    const text = '1 open_file(a)\n2 open_file(b)\n3 open_file(b)\n4 open_file(║'
    expect(recalled(text)).toEqual([])
    expect(recalled(text, '', { weightOf: ({ agreeing }) => agreeing }).join('')).toBe('b)$')
  })

  test('does not end with a line break where a block is wanted', () => {
    const text = 'for item in items:\n  use(item)\n\nfor item in║'
    expect(recalled(text).join('')).toBe(' items:$')
    expect(recalled(text, '', { endsAtLineBreak: false }).join('')).toMatch(/^ items:\n {2}use\(item/)
  })

  test('is believed less where the line itself has told little: what followed the line before elsewhere', () => {
    const weights: number[] = []
    const weightOf = (match: Match) => {
      weights.push(believed(match))
      return 1
    }
    const others = 'one_line()\ntwo_lines()\n\none_line()\n'
    for (const [marked, leading] of [
      [`${others}║`, ''],
      [`${others}║`, 'two'],
      [`${others}two║`, ''],
    ] as const)
      expect(recalled(marked, leading, { weightOf }).join('')).toMatch(/_lines\(\)\$$/)
    const [nothing, ownWriting, begun] = weights
    expect(begun).toBeGreaterThan(2 * nothing!)
    expect(begun).toBeGreaterThan(2 * ownWriting!)
  })

  test('is nothing in a file that says nothing', () => {
    expect(recalled('║')).toEqual([])
    expect(recalled('abcdefg║hijk')).toEqual([])
  })

  test('does not look at itself: the text before the gap matches itself everywhere', () => {
    expect(recalled('one two three four║\nfive')).toEqual([])
  })

  test('may stand in another document; a longer match counts, wherever it is', () => {
    expect(recalled('x = open_wi║', '', {}, ['y = open_with(path)\n']).join('')).toBe('th(path)$')
    expect(recalled('open_win()\nx = open_wi║', '', {}, ['y = open_with(path)\n']).join('')).toBe('th(path)$')
    expect(recalled('x = open_win()\nx = open_wi║', '', {}, ['y = open_with(path)\n']).join('')).toBe('n()$')
  })

  test('of documents that say the same as strongly, is what the nearest says', () => {
    const believe = { weightOf: () => 1 }
    expect(recalled('open_wi║', '', believe, ['open_with(a)', 'open_win(b)']).join('')).toMatch(/^th/)
    expect(recalled('open_win(c)\nopen_wi║', '', believe, ['open_with(a)']).join('')).toMatch(/^n/)
  })

  test('is the same whether it is followed token by token or asked for anew', () => {
    const text = 'self.parts.clear()\nself.parts.append(one)\nother.parts.clear()\nself.par║\nself.parts.append(two)\n'
    const { text: whole, cursor } = parseMarked(text)
    const parts = {
      held: '',
      encode,
      decode,
      endsAtLineBreak: true,
      weightOf: ({ length, agreeing }: Match) => length + agreeing,
    }
    const open = () => nearbyNgram(whole.slice(0, cursor!), whole.slice(cursor!), ['x.parts.clear()'], parts)
    const followed = open()
    for (const written of [
      '',
      't',
      'ts',
      'ts.',
      'ts.append',
      'ts.append(',
      'ts.clear',
      'ts.',
      'ts.append(one',
      'ts.append(three',
    ])
      expect(followed(encode(written)), written).toEqual(open()(encode(written)))
  })

  test('says of another document how a line goes on, not that it stays as it is', () => {
    const unfinished = 'def area(width, height):\n    return width *\n'
    expect(recalled('def area(width, height):\n    return width *║\n', '', {}, [unfinished])).toEqual([])
    expect(recalled(`${unfinished}def area(width, height):\n    return width *║\n`).join('')).toBe('$')
    expect(recalled('def area(width, height):\n    return width║\n', ' *', {}, [unfinished]).join('')).toBe('$')
  })

  test('does not end where a document ends', () => {
    expect(recalled('x = open_wi║', '', {}, ['y = open_wi'])).toEqual([])
  })

  test('takes a hundred thousand characters in a few milliseconds', () => {
    const text = `${'const value = compute(argument, another)\n'.repeat(2500)}const value = ║`
    expect(recalled(text).join('')).toMatch(/^compute/)
  })

  test('is believed more the longer the match, and less of another document where it is short', () => {
    const of = (elsewhere: boolean) =>
      [3, 4, 6, 12, 31].map((length) => believed({ length, telling: 3, agreeing: 1, elsewhere }))
    for (const weights of [of(true), of(false)]) {
      expect(weights).toEqual(weights.toSorted((a, b) => a - b))
      expect(weights[0]).toBe(0)
    }
    expect(of(true)[2]).toBeLessThan(of(false)[2]!)
    const seen: boolean[] = []
    const weightOf = ({ elsewhere }: Match) => {
      seen.push(elsewhere)
      return 1
    }
    recalled('x = open_wi║', '', { weightOf }, ['y = open_with(path)\n'])
    recalled('y = open_with(path)\nx = open_wi║', '', { weightOf }, ['z = open_win()\n'])
    expect(seen).toEqual([true, false])
  })
})
