import { expect, test } from 'vitest'
import { CompletionTriggerKind } from 'vscode-languageserver'
import type { Restriction } from '../../server/config/restriction.ts'
import { defaultSettings, type Settings } from '../../server/config/settings.ts'
import type { Rules, WorkspaceRules } from '../../server/config/workspaceRules.ts'
import { type Asked, Triggers } from '../../server/lsp/triggers.ts'
import { ManualClock, settled } from '../base/manualClock.ts'

const open: Rules = { private: undefined, restrictions: [], files: [] }

function make(given: { settings?: Partial<Settings>; restriction?: Restriction; rules?: Rules | Promise<Rules> }) {
  const clock = new ManualClock()
  let changes = 0
  const asked: string[] = []
  const of = (uri: string) => {
    asked.push(uri)
    return given.rules ?? open
  }
  const triggers = new Triggers({
    settings: () => ({ ...defaultSettings, ...given.settings }),
    restriction: () => given.restriction ?? {},
    rules: { of } as unknown as WorkspaceRules,
    clock,
    changed: () => void changes++,
  })
  const instead = (one: Partial<Asked> & { languageId?: string } = {}) => {
    const snapshot = { uri: 'file:///x', languageId: one.languageId ?? 'python' }
    return triggers.instead({ method: 'inline', invoked: false, snapshot, ...one }, 100)
  }
  return { triggers, clock, instead, asked, changes: () => changes }
}

const menu = (trigger?: CompletionTriggerKind) => ({ method: 'completion', trigger }) as const
const byHand = { invoked: true }
const snapshot = { uri: 'file:///x', languageId: 'python' }
const silent = (reason: string) => ({ kind: 'nothing', reason })

test('auto: everything', () => {
  const { instead, triggers } = make({})
  expect([instead(), instead(byHand), instead(menu())]).toEqual([undefined, undefined, undefined])
  expect(triggers.readsAhead(snapshot)).toBe(true)
})

test('manual: ghost text by hand alone; nothing is read ahead', () => {
  const { instead, triggers } = make({ settings: { mode: 'manual' } })
  expect(instead()).toEqual(silent('mode manual for python'))
  expect(instead(byHand)).toBeUndefined()
  for (const kind of [undefined, 1, 2, 3] as const) expect(instead(menu(kind))).toBeDefined()
  expect(triggers.readsAhead(snapshot)).toBe(false)
})

test('manual, in an editor that asks for its menu by hand alone', () => {
  const { instead } = make({ settings: { mode: 'manual', menuWhenManual: true } })
  expect(instead(menu(CompletionTriggerKind.Invoked))).toBeUndefined()
  expect(instead(menu(CompletionTriggerKind.TriggerForIncompleteCompletions))).toBeUndefined()
  expect(instead(menu())).toBeUndefined()
  expect(instead(menu(CompletionTriggerKind.TriggerCharacter))).toEqual(silent('mode manual for python'))
  expect(instead()).toEqual(silent('mode manual for python'))
})

test('off: nothing, by hand neither, and the disk is not asked', () => {
  const { instead, triggers, asked } = make({ settings: { languages: { python: 'off' } } })
  for (const one of [{}, byHand, menu()]) expect(instead(one)).toEqual(silent('mode off for python'))
  expect(triggers.readsAhead(snapshot)).toBe(false)
  expect(asked).toEqual([])
  expect(instead({ languageId: 'go' })).toBeUndefined()
})

test('nobody makes more of what the user allows; a workspace and the client may make less', () => {
  const loose = { mode: 'auto', languages: { python: 'auto' } } as const
  const off = { settings: { mode: 'off' as const } }
  expect(make({ ...off, restriction: loose }).instead()).toBeDefined()
  expect(make({ ...off, rules: { ...open, restrictions: [loose] } }).instead()).toBeDefined()
  expect(make({ restriction: { mode: 'off' } }).instead()).toEqual(silent('mode off for python'))
  const { instead } = make({ rules: { ...open, restrictions: [{ languages: { python: 'manual' } }, {}] } })
  expect(instead()).toEqual(silent('mode manual for python'))
  expect(instead(byHand)).toBeUndefined()
})

test('a private file: by hand alone, and nothing is read ahead', () => {
  const { instead, triggers } = make({ rules: { ...open, private: 'Git ignores it' } })
  expect(instead()).toEqual(silent('a private file: Git ignores it'))
  expect(instead(menu(CompletionTriggerKind.Invoked))).toEqual(silent('a private file: Git ignores it'))
  expect(instead(byHand)).toBeUndefined()
  expect(triggers.readsAhead(snapshot)).toBe(false)
})

test('a disk that does not answer costs the budget and no more, and nothing is made meanwhile', async () => {
  const { instead, triggers, clock } = make({ rules: new Promise(() => {}) })
  const answer = instead()
  await clock.pass(100)
  expect(await answer).toEqual({ kind: 'pending' })
  let read: boolean | undefined
  void Promise.resolve(triggers.readsAhead(snapshot)).then((may) => void (read = may))
  await settled()
  expect(read).toBeUndefined()
})

test('a disk that answers in time', async () => {
  const late = Promise.resolve({ ...open, private: 'so' })
  const { instead, triggers } = make({ rules: late })
  expect(await instead()).toEqual(silent('a private file: so'))
  expect(await instead(byHand)).toBeUndefined()
  expect(await triggers.readsAhead(snapshot)).toBe(false)
  expect(await make({ rules: Promise.resolve(open) }).triggers.readsAhead(snapshot)).toBe(true)
  expect(await make({ rules: Promise.reject(new Error('x')) }).triggers.readsAhead(snapshot)).toBe(false)
})

test('by command: in place of what user and client say, not of a workspace file', () => {
  const { triggers, instead, changes } = make({
    settings: { mode: 'manual', languages: { markdown: 'off' } },
    restriction: { mode: 'off' },
    rules: { ...open, restrictions: [{ languages: { go: 'off' } }] },
  })
  expect(triggers.setMode({ mode: 'auto' })).toEqual({ mode: 'auto' })
  expect(instead()).toBeUndefined()
  expect(instead({ languageId: 'markdown' }), 'set apart by the user').toBeDefined()
  expect(instead({ languageId: 'go' })).toBeDefined()
  triggers.setMode({ mode: 'auto', languageId: 'markdown' })
  triggers.setMode({ mode: 'off', languageId: 'python' })
  expect(instead({ languageId: 'markdown' })).toBeUndefined()
  expect(instead()).toBeDefined()
  expect(triggers.general).toBe('auto')
  expect(changes()).toBe(3)
})

test('a snooze: nothing unasked, until it is over or ended', async () => {
  const { triggers, instead, clock, changes } = make({})
  triggers.snooze({ minutes: 1 })
  expect(instead()).toEqual(silent('snoozed'))
  expect(instead(menu())).toEqual(silent('snoozed'))
  expect(instead(byHand)).toBeUndefined()
  expect(triggers.readsAhead(snapshot)).toBe(false)
  await clock.pass(60_000)
  expect(instead()).toBeUndefined()
  expect(changes(), 'told once that it is over').toBe(2)
  triggers.snooze(undefined)
  expect(instead()).toBeDefined()
  triggers.snooze({ minutes: 0 })
  expect(instead()).toBeUndefined()
})

test('arguments that make no sense are named', () => {
  const { triggers, changes } = make({})
  expect(() => triggers.setMode({ mode: 'manul' })).toThrow('found "manul"; did you mean "manual"?')
  expect(() => triggers.setMode(undefined)).toThrow('wanted mode: auto, manual, off, found undefined')
  expect(() => triggers.setMode({ mode: 'off', languageId: 3 })).toThrow('wanted languageId: a name, found 3')
  for (const minutes of [-1, Number.NaN, '5', 1e9]) expect(() => triggers.snooze({ minutes })).toThrow('wanted minutes')
  expect(changes()).toBe(0)
})
