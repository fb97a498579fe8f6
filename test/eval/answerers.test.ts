/** Who is asked, over an engine whose model knows one document. */
import { describe, expect, test } from 'vitest'
import { byteIds, type Question } from '../engine/scriptedEngine.ts'
import { parseMarked } from '../markup.ts'
import { bytesOf } from '../session/byteModel.ts'
import { sessionThatKnows } from '../session/sessionThatKnows.ts'
import { baseReader, type Order } from './answerers/baseReader.ts'
import { copied, fileNgram } from './answerers/fileNgram.ts'
import { product } from './answerers/product.ts'
import type { Case } from './benchmark.ts'
import { scoreEdits } from './compareEdits.ts'

/** A gap at `║`, in place of `truth`. */
function gapOf(marked: string, truth: string, changes: Partial<Case> = {}): Case {
  const { text, cursor } = parseMarked(marked)
  return {
    ...{ key: 'k', group: 'g', languageId: 'python', text, offset: cursor!, scope: 'line', maxTokens: 40, truth },
    ...changes,
  }
}

function roomsThatKnow(document: string, sure?: number) {
  const { rooms, engine } = sessionThatKnows(document, {}, sure)
  return { rooms: { ...rooms, engine }, engine }
}

const gap = gapOf('total = 0\ntotal ║\nprint(total)\n', '+= price')
const document = 'total = 0\ntotal += price\nprint(total)\n'

describe('the product', () => {
  const ask = (sure: number, showAbove = 0.5) => product(roomsThatKnow(document, sure).rooms, {}, showAbove).ask(gap)

  test('answers as it does when asked by hand, and tells what it cost', async () => {
    const answer = await ask(0.99)
    expect(scoreEdits(gap, answer)).toMatchObject({ exact: true, shown: true, right_of_shown: true })
    expect(answer.tokens).toBeGreaterThanOrEqual('+= price'.length)
    expect(answer.steps).toBeGreaterThan(1)
    expect(answer.rows).toBeGreaterThan(answer.steps!)
  })

  test('keeps back what it is not sure of, and answers it all the same when asked', async () => {
    const answer = await ask(0.6)
    expect(scoreEdits(gap, answer)).toMatchObject({ exact: true, shown: false })
    expect(scoreEdits(gap, await ask(0.6, 0))).toMatchObject({ exact: true, shown: true, right_of_shown: true })
  })

  test('shows no blocks unasked', async () => {
    const answer = await product(roomsThatKnow(document).rooms, {}, 0.5).ask({ ...gap, scope: 'block' })
    expect(answer).not.toHaveProperty('shown')
  })
})

describe('the base, read left to right', () => {
  test('sees no suffix, stops at the line, goes through the same filters', async () => {
    const { rooms, engine } = roomsThatKnow(document)
    const answer = await baseReader(rooms, {}, 'prefix').ask(gap)
    expect(scoreEdits(gap, answer)).toEqual({ exact: true, begins: true, answered: true })
    expect(answer).toMatchObject({ steps: ' += price'.length + 1, tokens: ' += price'.length })
    const seen = engine.steps.flat().flatMap(({ ids, context }) => [...ids, ...context.map(({ rows }) => rows)])
    expect(engine.steps.flat().every(({ kind }) => kind === 'text')).toBe(true)
    expect(seen.length).toBeGreaterThan(0)
    expect(engine.encodedRows).toBeLessThan(document.length)
  })

  test('is cut off at the same limit', async () => {
    const { rooms } = roomsThatKnow(document)
    const answer = await baseReader(rooms, {}, 'prefix').ask({ ...gap, maxTokens: 5 })
    expect(answer.tokens).toBe(5)
    expect(scoreEdits(gap, answer)).toMatchObject({ exact: false })
  })

  test('gives back every encoding that it took', async () => {
    const { rooms, engine } = roomsThatKnow(
      'x = 1\nname = "a text of more than sixteen bytes, so that it is read again"\n',
    )
    const long = gapOf('x = 1\nname = ║\n', '"a text of more than sixteen bytes, so that it is read again"', {
      maxTokens: 100,
    })
    expect(scoreEdits(long, await baseReader(rooms, {}, 'prefix').ask(long))).toMatchObject({ exact: true })
    rooms.prefixes.clear()
    expect(engine.liveCount).toBe(0)
  })

  test('has the suffix before the prefix when it is put there', async () => {
    const seenBy = async (order: Order) => {
      const { rooms, engine } = roomsThatKnow(document)
      let first = ''
      engine.script = ({ context, canvas }: Question) => {
        const ids = [...context, ...canvas].sort(([a], [b]) => a - b).map(([, id]) => id)
        first ||= Buffer.from(ids.filter((id) => id !== byteIds.documentStart)).toString()
        return [{ id: 10, probability: 0.99 }]
      }
      await baseReader(rooms, {}, order).ask({ ...gap, maxTokens: 1 })
      return first
    }
    expect(await seenBy('prefix')).toBe('total = 0\ntotal')
    expect(await seenBy('suffix-first')).toBe('\nprint(total)\n\ntotal = 0\ntotal')
  })
})

describe('an n-gram of the file', () => {
  test('copies what followed the longest match', () => {
    expect(copied(['foo(a, b)\nbar(a, c)\nfoo(a', '\n'], 20, true)).toBe(', b)')
    expect(copied(['bar(a', '\nfoo(a, b)\nxbar(a, c)\n'], 20, true)).toBe(', c)')
  })
  test('of equal matches the more frequent, then the nearest', () => {
    expect(copied(['x=1;x=2;x=2;x=', '\n'], 1, true)).toBe('2')
    expect(copied(['x=1;x=2;x=', '\n'], 1, true)).toBe('2')
  })
  test('writes nothing where nothing is alike', () => {
    expect(copied(['abc§', 'def'], 20, true)).toBe('')
  })
  test('is asked as the others are', async () => {
    const twice = gapOf('total += price\nx = 1\ny = 2\nz = total ║\nprint(total)\n', '+= price')
    expect(scoreEdits(twice, await fileNgram(roomsThatKnow('').rooms.model, 'file').ask(twice))).toMatchObject({
      exact: true,
    })
    const short = await fileNgram(roomsThatKnow('').rooms.model, 'file').ask({ ...twice, maxTokens: 3 })
    expect(short.tokens).toBe(3)
    expect(bytesOf(short.edit?.text ?? '').length).toBeLessThanOrEqual(3)
  })

  test('in the window sees what the models see, and no more', async () => {
    const far = `total += price\n${'# nothing of the kind\n'.repeat(200)}`
    const distant = gapOf(`${far}z = total ║\nprint(total)\n`, '+= price')
    const { model } = roomsThatKnow('').rooms
    expect(scoreEdits(distant, await fileNgram(model, 'file').ask(distant))).toMatchObject({ exact: true })
    expect(scoreEdits(distant, await fileNgram(model, 'window').ask(distant))).toMatchObject({ exact: false })
  })
})
