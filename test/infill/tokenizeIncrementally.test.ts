import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { tokenizeIncrementally } from '../../server/infill/tokenizeIncrementally.ts'
import { resolveModel } from '../../server/model/store.ts'
import { makeTokenizer, readTokenizer, type Tokenizer } from '../../server/model/tokenizer.ts'
import { smallTokenizer } from '../model/randomBundle.ts'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const files = ['server/model/graph.ts', 'training/reference.py', 'package.json'].map(read)

let tokenizer: Tokenizer
beforeAll(async () => {
  tokenizer = await readTokenizer(await resolveModel())
})

/** Pieces of real files and blanks of all kinds, line ends turned into LF as a plan does. */
const anyText = fc
  .array(
    fc.oneof(
      fc
        .tuple(fc.constantFrom(...files), fc.nat(), fc.integer({ min: 0, max: 120 }))
        .map(([file, at, count]) => file.slice(at % file.length, (at % file.length) + count)),
      fc.constantFrom(
        ' ',
        '  ',
        '\n',
        '\n\n',
        ' \n',
        '\t',
        '\r\n',
        '    ',
        '\u00a0',
        '\u2028',
        '\ufeff',
        '\f',
        '1 2',
        "'s",
      ),
      fc.string({ unit: 'grapheme', maxLength: 6 }),
    ),
    { maxLength: 20 },
  )
  .map((parts) => parts.join('').replaceAll('\r\n', '\n'))

test('gives the ids of the whole', () => {
  const encode = tokenizeIncrementally((text) => tokenizer.encode(text))
  fc.assert(
    fc.property(anyText, (text) => {
      expect(encode(text)).toEqual(tokenizer.encode(text))
    }),
    { numRuns: 300 },
  )
})

test('gives the ids of the whole for real files, wherever they are cut', () => {
  const encode = tokenizeIncrementally((text) => tokenizer.encode(text))
  for (const file of files) {
    expect(encode(file)).toEqual(tokenizer.encode(file))
    for (let at = 0; at < 3000; at += 97) expect(encode(file.slice(0, at))).toEqual(tokenizer.encode(file.slice(0, at)))
  }
})

test('gives the ids of the whole for the tokenizer of the random bundles', () => {
  const small = makeTokenizer(smallTokenizer())
  const encode = tokenizeIncrementally((text) => small.encode(text))
  fc.assert(
    fc.property(anyText, (text) => {
      expect(encode(text)).toEqual(small.encode(text))
    }),
  )
})

describe('tokenizes only what changed', () => {
  const seen: string[] = []
  const spied = (capacity?: number) =>
    tokenizeIncrementally((text) => {
      seen.push(text)
      return tokenizer.encode(text)
    }, capacity)
  const lines = Array.from({ length: 5000 }, (_, i) => `  const value${i} = call(${i})`)

  test('an edit of one line in 5,000 costs a handful of pieces', () => {
    const encode = spied(8192)
    encode(lines.join('\n'))
    for (const line of ['', 'x', '  const value = call(7) // changed', '\n\n  two()\n']) {
      seen.length = 0
      const edited = lines.with(2500, line).join('\n')
      const ids = encode(edited)
      expect(seen.length).toBeLessThanOrEqual(5)
      expect(seen.join('').length).toBeLessThan(100)
      expect(ids).toHaveLength(tokenizer.encode(edited).length)
    }
  })

  test('nothing when nothing changed, and nothing of an empty text', () => {
    const encode = spied()
    const first = encode(files[0]!)
    seen.length = 0
    expect(encode(files[0]!)).toEqual(first)
    expect(encode('')).toEqual([])
    expect(seen).toEqual([])
  })

  test('remembers no more pieces than it may', () => {
    const encode = spied(10)
    encode(lines.slice(0, 100).join('\n'))
    seen.length = 0
    encode(lines.slice(95, 100).join('\n'))
    expect(seen).toHaveLength(1) // the first has no line break before it here
    encode(lines.slice(0, 5).join('\n'))
    expect(seen).toHaveLength(6)
  })
})

test('text that spells a special token stays text', async () => {
  const json = JSON.parse(readFileSync(join(await resolveModel(), 'tokenizer.json'), 'utf8'))
  const specials: { id: number; content: string }[] = json.added_tokens
  expect(specials.length).toBeGreaterThan(10)
  const ids = new Set(specials.map(({ id }) => id))
  for (const { content } of specials) {
    const found = tokenizer.encode(`a ${content}b\n${content}`)
    expect(
      found.filter((id) => ids.has(id)),
      content,
    ).toEqual([])
    expect(tokenizer.decode(found)).toBe(`a ${content}b\n${content}`)
  }
  for (const id of ids) expect(tokenizer.tokenText(id)).toBe('')
})
