/** What is tried alike in every editor that is driven in a terminal and takes completions from its menu. */
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, test } from 'vitest'
import { buildServers, type Servers } from './buildServers.ts'
import { type Case, caseNamed, cases, knownTexts, othersWords, twoServers, wordOf } from './cases.ts'
import { stalled } from './stalled.ts'
import type { Terminal } from './terminal.ts'

/** Of a suite, from its start to its end. */
export interface Work {
  folder: string
  servers: Servers
  /** The scripted engine waits for as long as this file is there. */
  stall: string
  /** What the scripted server reads. */
  env: Readonly<Record<string, string>>
}

/** To be called where a suite is described; filled when its tests begin. */
export function openWork(name: string): Work {
  const work = {} as Work
  beforeAll(async () => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), `lacuna-${name}-`)))
    const [known, stall] = [join(folder, 'known.json'), join(folder, 'stall')]
    await writeFile(known, JSON.stringify(knownTexts))
    Object.assign(work, { folder, stall, env: { LACUNA_KNOWN: known, LACUNA_STALL: stall } })
    work.servers = await buildServers(folder)
  })
  afterAll(async () => {
    await rm(work.folder, { recursive: true, force: true })
  })
  return work
}

export interface MenuEditor {
  terminal(): Terminal
  /** Types the last character before the mark of a new file, ours running or these servers. @returns its path. */
  typed(each: Case, servers?: readonly string[]): Promise<string>
  /** A pace as a person's. */
  type(text: string): Promise<void>
  menu(label: string): Promise<void>
  take(label: string): Promise<void>
  /** By this key the menu's next item is chosen, and written into the line. */
  readonly next: string
  /** What was chosen is taken. */
  close(): Promise<void>
  expectWritten(path: string, text: string): Promise<void>
}

export function testMenu(work: Work, editor: MenuEditor): void {
  const { typed, type, menu, take, expectWritten } = editor
  test.each(cases)('$name', async (each) => {
    const path = await typed(each)
    await take(wordOf(each) + each.fill)
    await expectWritten(path, each.filled)
  })

  test('what is typed along is not doubled', async () => {
    const each = caseNamed('end of a line')
    const path = await typed(each)
    await menu(`wi${each.fill}`)
    await type(each.fill.slice(0, 3))
    await take(wordOf(each) + each.fill)
    await expectWritten(path, each.filled)
  })

  test('changed between request and answer: nothing typed is lost', async () => {
    const each = caseNamed('end of a line')
    const path = await stalled(work.stall, async () => {
      const path = await typed(each)
      await sleep(600) // it has asked: 50 ms (Kakoune) or 250 ms (Helix) after the key
      await type('re')
      return path
    })
    await sleep(800)
    await expectWritten(path, each.text.replace('return wi', 'return wire'))
  })

  const ours = wordOf(twoServers) + twoServers.fill
  test.each([...othersWords, ours])('beside a second server, both in the menu: %s is taken', async (word) => {
    const path = await typed(twoServers, ['other', 'lacuna'])
    await menu(ours)
    await editor.terminal().until("the other's words", (screen) => othersWords.every((other) => screen.includes(other)))
    await choose(`return ${word}`)
    await editor.close()
    await expectWritten(path, twoServers.text.replace('return pai', `return ${word}`))
  })

  async function choose(line: string): Promise<void> {
    for (let tries = 0; ; tries++) {
      await editor.terminal().keys(editor.next)
      try {
        return void (await editor.terminal().until(line, (screen) => screen.includes(line), 800))
      } catch (error) {
        if (tries === 5) throw error
      }
    }
  }
}
