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
  cache.set(at(marked), { text, replaceAfter })
  return cache
}

test('answers the place it was made at, and an undo that comes back to it', () => {
  const cache = cacheWith('print(║)', 'value', 1)
  expect(cache.get(at('print(║)'))).toEqual({ text: 'value', replaceAfter: 1 })
  expect(cache.get(at('print(q║)'))).toBeUndefined()
  expect(cache.get(at('print(║)'))).toEqual({ text: 'value', replaceAfter: 1 })
})

test('gives the rest while its beginning is typed', () => {
  const cache = cacheWith('print(║)', 'value', 1)
  expect(cache.get(at('print(va║)'))).toEqual({ text: 'lue', replaceAfter: 1 })
  expect(cache.get(at('print(valu║)'))).toEqual({ text: 'e', replaceAfter: 1 })
})

test('gives nothing once it is typed to its end, or otherwise', () => {
  const cache = cacheWith('print(║)', 'value', 1)
  expect(cache.get(at('print(value║)'))).toBeUndefined()
  expect(cache.get(at('print(vx║)'))).toBeUndefined()
  expect(cache.get(at('print(values║)'))).toBeUndefined()
})

test('gives nothing when the text right of the cursor changed', () => {
  const cache = cacheWith('print(║)', 'value')
  expect(cache.get(at('print(║))'))).toBeUndefined()
  expect(cache.get(at('print(va║'))).toBeUndefined()
})

test('gives nothing when the text left of it changed, in another document or scope', () => {
  const cache = cacheWith('print(║)', 'value')
  expect(cache.get(at('sprint(║)'))).toBeUndefined()
  expect(cache.get(at('print(║)', { uri: 'file:///b.ts' }))).toBeUndefined()
  expect(cache.get(at('print(║)', { scope: 'block' }))).toBeUndefined()
})

test('does not mind text far away', () => {
  const near = 'x'.repeat(600)
  const cache = cacheWith(`one ${near}║${near} one`, 'value')
  expect(cache.get(at(`two ${near}║${near} two`))?.text).toBe('value')
})

test('recognises a completion of which 128 units were typed, and no more', () => {
  const text = 'abcd'.repeat(50)
  const cache = cacheWith('y = ║', text)
  expect(cache.get(at(`y = ${text.slice(0, 128)}║`))?.text).toBe(text.slice(128))
  expect(cache.get(at(`y = ${text.slice(0, 129)}║`))).toBeUndefined()
})

test('remembers that there was nothing to offer, at that place alone', () => {
  const cache = new CompletionCache(megabyte)
  cache.set(at('print(║)'), { text: '', replaceAfter: 0, reason: 'empty' })
  expect(cache.get(at('print(║)'))).toEqual({ text: '', replaceAfter: 0, reason: 'empty' })
  expect(cache.get(at('print(v║)'))).toBeUndefined()
})

test('prefers what was made here over what was typed through', () => {
  const cache = cacheWith('print(║)', 'value')
  cache.set(at('print(v║)'), { text: 'ector', replaceAfter: 0 })
  expect(cache.get(at('print(v║)'))?.text).toBe('ector')
  expect(cache.get(at('print(ve║)'))?.text).toBe('ctor')
  expect(cache.get(at('print(va║)'))?.text).toBe('lue')
})

test('forgets a document without its neighbours', () => {
  const cache = cacheWith('a║', 'b')
  cache.set(at('a║', { uri: 'file:///a.tsx' }), { text: 'c', replaceAfter: 0 })
  cache.forget('file:///a.ts')
  expect(cache.get(at('a║'))).toBeUndefined()
  expect(cache.get(at('a║', { uri: 'file:///a.tsx' }))?.text).toBe('c')
})

test('stays within its bytes, dropping the oldest', () => {
  const cache = new CompletionCache(4000)
  for (let i = 0; i < 100; i++) cache.set(at(`line ${i} ║`), { text: 'value', replaceAfter: 0 })
  expect(cache.get(at('line 0 ║'))).toBeUndefined()
  expect(cache.get(at('line 99 ║'))?.text).toBe('value')
})
