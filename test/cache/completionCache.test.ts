import { expect, test } from 'vitest'
import { CompletionCache, type Place } from '../../server/cache/completionCache.ts'

const megabyte = 1024 * 1024

/** `║` is the cursor. */
function at(marked: string, rest: Partial<Place> = {}): Place {
  const [before, after] = marked.split('║') as [string, string]
  return { uri: 'file:///a.ts', scope: 'line', before, after, ...rest }
}

function cacheWith(marked: string, text: string, replaceAfter = 0): CompletionCache {
  const cache = new CompletionCache(megabyte)
  cache.set(at(marked), { text, replaceAfter, kind: 'whole' })
  return cache
}

function keptIn(cache: CompletionCache, place: Place) {
  return cache.get(place)?.kept
}

test('answers the place it was made at, and an undo that comes back to it', () => {
  const cache = cacheWith('print(║)', 'value', 1)
  expect(keptIn(cache, at('print(║)'))).toEqual({ text: 'value', replaceAfter: 1, kind: 'whole' })
  expect(keptIn(cache, at('print(q║)'))).toBeUndefined()
  expect(keptIn(cache, at('print(║)'))).toEqual({ text: 'value', replaceAfter: 1, kind: 'whole' })
})

test('gives the rest while its beginning is typed', () => {
  const cache = cacheWith('print(║)', 'value', 1)
  expect(keptIn(cache, at('print(va║)'))).toEqual({ text: 'lue', replaceAfter: 1, kind: 'whole' })
  expect(keptIn(cache, at('print(valu║)'))).toEqual({ text: 'e', replaceAfter: 1, kind: 'whole' })
})

test('gives nothing once it is typed to its end, or otherwise', () => {
  const cache = cacheWith('print(║)', 'value', 1)
  expect(keptIn(cache, at('print(value║)'))).toBeUndefined()
  expect(keptIn(cache, at('print(vx║)'))).toBeUndefined()
  expect(keptIn(cache, at('print(values║)'))).toBeUndefined()
})

test('gives nothing when the text right of the cursor changed', () => {
  const cache = cacheWith('print(║)', 'value')
  expect(keptIn(cache, at('print(║))'))).toBeUndefined()
  expect(keptIn(cache, at('print(va║'))).toBeUndefined()
})

test('gives nothing when the text left of it changed, in another document or scope', () => {
  const cache = cacheWith('print(║)', 'value')
  expect(keptIn(cache, at('sprint(║)'))).toBeUndefined()
  expect(keptIn(cache, at('print(║)', { uri: 'file:///b.ts' }))).toBeUndefined()
  expect(keptIn(cache, at('print(║)', { scope: 'block' }))).toBeUndefined()
})

test('minds all that the model read, however far away', () => {
  const near = 'x'.repeat(600)
  const cache = cacheWith(`one ${near}║${near} one`, 'value')
  expect(keptIn(cache, at(`one ${near}║${near} one`))?.text).toBe('value')
  expect(keptIn(cache, at(`two ${near}║${near} one`))).toBeUndefined()
  expect(keptIn(cache, at(`one ${near}║${near} two`))).toBeUndefined()
})

test('says how much was typed since', () => {
  const cache = cacheWith('print(║)', 'value')
  expect(cache.get(at('print(║)'))?.typed).toBe(0)
  expect(cache.get(at('print(va║)'))?.typed).toBe(2)
})

test('recognises a completion of which 128 units were typed, and no more', () => {
  const text = 'abcd'.repeat(50)
  const cache = cacheWith('y = ║', text)
  expect(keptIn(cache, at(`y = ${text.slice(0, 128)}║`))?.text).toBe(text.slice(128))
  expect(keptIn(cache, at(`y = ${text.slice(0, 129)}║`))).toBeUndefined()
})

test('remembers that there was nothing to offer, at that place alone', () => {
  const cache = new CompletionCache(megabyte)
  cache.set(at('print(║)'), { text: '', replaceAfter: 0, reason: 'empty', kind: 'whole' })
  expect(keptIn(cache, at('print(║)'))).toEqual({ text: '', replaceAfter: 0, reason: 'empty', kind: 'whole' })
  expect(keptIn(cache, at('print(v║)'))).toBeUndefined()
})

test('prefers what was made here over what was typed through', () => {
  const cache = cacheWith('print(║)', 'value')
  cache.set(at('print(v║)'), { text: 'ector', replaceAfter: 0, kind: 'whole' })
  expect(keptIn(cache, at('print(v║)'))?.text).toBe('ector')
  expect(keptIn(cache, at('print(ve║)'))?.text).toBe('ctor')
  expect(keptIn(cache, at('print(va║)'))?.text).toBe('lue')
})

test('forgets a document without its neighbours', () => {
  const cache = cacheWith('a║', 'b')
  cache.set(at('a║', { uri: 'file:///a.tsx' }), { text: 'c', replaceAfter: 0, kind: 'whole' })
  cache.forget('file:///a.ts')
  expect(keptIn(cache, at('a║'))).toBeUndefined()
  expect(keptIn(cache, at('a║', { uri: 'file:///a.tsx' }))?.text).toBe('c')
})

test('stays within its bytes, dropping the oldest', () => {
  const cache = new CompletionCache(4000)
  for (let i = 0; i < 100; i++) cache.set(at(`line ${i} ║`), { text: 'value', replaceAfter: 0, kind: 'whole' })
  expect(keptIn(cache, at('line 0 ║'))).toBeUndefined()
  expect(keptIn(cache, at('line 99 ║'))?.text).toBe('value')
})
