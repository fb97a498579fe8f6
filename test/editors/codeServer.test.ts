/**
 * The extension of clients/vscode in a real VS Code (code-server, in Chromium): typed on the page, taken with its keys, saved,
 * and compared byte for byte.
 */
import { existsSync } from 'node:fs'
import { copyFile, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseMarked } from '../markup.ts'
import { type Browser, startBrowser, whyNoBrowser } from './browser.ts'
import { buildServers } from './buildServers.ts'
import { type Case, caseNamed, cases, knownTexts, othersWords, otherWay, twoServers, twoWays } from './cases.ts'
import { type CodeServer, startCodeServer, whyNoCodeServer } from './codeServer.ts'
import { putOtherExtension } from './otherExtension.ts'
import { printed } from './printed.ts'
import { stalled } from './stalled.ts'

const extension = resolve('clients/vscode/lacuna.vsix')
const reason =
  whyNoCodeServer() ??
  whyNoBrowser() ??
  (existsSync(extension) && existsSync('clients/vscode/node_modules')
    ? ''
    : 'clients/vscode is not packaged; npm install && npm run package there')
if (reason) process.stderr.write(`VS Code itself is not tested: ${reason}\n`)

/** What is on the page: ghost text, and the words of the menu. */
interface Seen {
  readonly ghost: string
  readonly menu: readonly string[]
}
const seen = `({
  ghost: [...document.querySelectorAll('.ghost-text, .ghost-text-decoration, .ghost-text-decoration-preview')]
    .map((each) => each.textContent).join('').replaceAll('\\u00a0', ' '),
  menu: [...document.querySelectorAll('.suggest-widget.visible .monaco-list-row .label-name')].map((each) => each.textContent),
})`
const tab = `document.querySelector('.tab.active')?.textContent ?? ''`

/** The menu opens at each letter there; in Python files VS Code has its defaults. */
const inRuby = (each: Case): Case => ({ ...each, file: each.file.replace('.py', '.rb') })
const eager = { '[ruby]': { 'editor.quickSuggestions': { other: 'on' } } }

/** Where our server's menu would open. */
const beforeMenus: readonly Case[] = [
  { before: 'return ', of: caseNamed('end of a line') },
  { before: 'self.', of: caseNamed('tabs') },
].map(({ before, of }) => {
  const cursor = of.filled.indexOf(before, of.cursor - 10) + before.length
  const fill = of.filled.slice(cursor, of.cursor + of.fill.length)
  const text = of.filled.slice(0, cursor) + of.filled.slice(cursor + fill.length)
  return { ...of, name: `after '${before}'`, text, cursor, fill }
})

/** The model goes on from a word that the other server has. */
const together: Case = {
  name: 'both at once',
  file: 'both.py',
  text: 'value = other\n',
  cursor: 'value = other'.length,
  fill: 'ServerWord(3)',
  filled: 'value = otherServerWord(3)\n',
}

describe.skipIf(reason !== '')(`VS Code${reason && ` (skipped: ${reason})`}`, { timeout: 180_000 }, () => {
  let folder: string
  let stall: string
  let vscode: CodeServer
  let browser: Browser

  async function start(command: readonly string[], settings: object, other?: string): Promise<void> {
    const own = { 'lacuna.command': command, 'lacuna.showAbove': 0, ...settings }
    const home = await mkdtemp(join(folder, 'home-'))
    if (other) await putOtherExtension(join(home, 'extensions'), other, '**/*both.*')
    vscode = await startCodeServer(home, extension, own, {
      LACUNA_KNOWN: join(folder, 'known.json'),
      LACUNA_STALL: stall,
    })
    browser = await startBrowser(vscode.url)
    const first = join(vscode.workspace, 'first.py')
    await writeFile(first, '')
    for (const deadline = Date.now() + 200_000; ; ) {
      try {
        return await open(first)
      } catch (error) {
        if (Date.now() > deadline) throw error // until the page is there nobody hears
      }
    }
  }

  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'lacuna-code-')))
    stall = join(folder, 'stall')
    await writeFile(join(folder, 'known.json'), JSON.stringify([...knownTexts, together.filled]))
  })
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  describe('over the scripted engine', () => {
    beforeAll(async () => {
      const { scripted, other } = await buildServers(folder)
      await start([process.execPath, scripted, '--stdio'], eager, other)
    }, 300_000)
    afterAll(async () => {
      await browser?.close()
      await vscode?.close()
    })

    test.each(cases)('ghost text: $name', (each) => checkTaken(each))

    test.each(beforeMenus)('ghost text: $name', (each) => checkTaken(each))

    test('a word of it, then the rest', async () => {
      const each = caseNamed('end of a line')
      await checkTaken(each, async () => {
        await browser.key('ctrl+ArrowRight')
        await until('the rest', ({ ghost }) => ghost !== '' && ghost !== each.fill && each.fill.endsWith(ghost))
      })
    })

    test('what is typed along is not doubled', async () => {
      const each = caseNamed('end of a line')
      await checkTaken(each, async () => {
        await browser.type(each.fill.slice(0, 3))
        await until('the rest', ({ ghost }) => ghost === each.fill.slice(3))
      })
    })

    test('the next candidate, the one before it, and the next one taken', async () => {
      const path = await typed(twoWays)
      await shown(twoWays, alone(twoWays.fill))
      for (const [key, other] of [
        ['alt+]', otherWay],
        ['alt+[', twoWays],
        ['alt+]', otherWay],
      ] as const) {
        await browser.key(key)
        await until('the other candidate', alone(other.fill))
      }
      await browser.key('Tab')
      await expectSaved(path, otherWay.filled)
    })

    test('taken, then undone alone', async () => {
      const each = caseNamed('end of a line')
      const path = await typed(each)
      await shown(each, alone(each.fill))
      await browser.key('Tab')
      await until('no ghost text', alone(''))
      await browser.key('ctrl+z')
      await expectSaved(path, each.text)
    })

    test("late, VS Code's words are there instead: ours goes on from the chosen one, and each is taken", async () => {
      const each = caseNamed('end of a line')
      const path = await stalled(stall, async () => {
        const path = await typed(each)
        await shown(each, ({ ghost, menu }) => ghost === '' && menu.join() === 'width')
        return path
      })
      await until('both', ({ ghost, menu }) => ghost === each.fill && menu.join() === 'width')
      await browser.key('Tab')
      await until('the rest', ({ ghost, menu }) => ghost === ' * height' && menu.length === 0)
      await browser.key('Tab')
      await expectSaved(path, each.filled)
    })

    test('late, where no menu has a word either: ours comes at the next key', async () => {
      const each = { ...caseNamed('end of a line'), file: twoServers.file } // where the other server answers for all
      const path = await stalled(stall, async () => {
        const path = await typed(each)
        await sleep(1500)
        return path
      })
      await sleep(1000)
      expect(await browser.evaluate<Seen>(seen)).toEqual({ ghost: '', menu: [] })
      await browser.type(each.fill[0]!)
      await until('the rest', alone(each.fill.slice(1)))
      await browser.key('Tab')
      await expectSaved(path, each.filled)
    })

    test('beside another server: ours first, taken', () => checkTaken(twoServers))

    test('beside another server: its menu over ours, asked for; what is taken from it is there once', async () => {
      const path = await typed(twoServers)
      await shown(twoServers, alone(twoServers.fill))
      await browser.key('ctrl+ ')
      await until('its menu alone', itsMenu)
      await browser.key('ArrowDown')
      await browser.key('Enter')
      await expectSaved(path, twoServers.text.replace('pai\n', `${othersWords[1]}\n`))
    })

    test('beside a menu that opens at each key: ours goes on from its word, and each is taken', async () => {
      const each = inRuby(together)
      const path = await typed(each)
      await shown(each, ({ ghost, menu }) => ghost === each.fill && menu.join() === 'otherServerWord')
      await browser.key('Tab')
      await until('the rest', alone('(3)'))
      await browser.key('Tab')
      await expectSaved(path, each.filled)
    })

    test('beside a menu that opens at each key, of other words: ours when it is closed', async () => {
      const each = inRuby(twoServers)
      const path = await typed(each)
      await shown(each, itsMenu)
      await browser.key('Escape')
      await until('ghost text', alone(each.fill))
      await browser.key('Tab')
      await expectSaved(path, each.filled)
    })

    test.each([twoServers, inRuby(twoServers)])(
      "with our engine stalled the other server's menu comes all the same: $file",
      async (each) => {
        const path = await stalled(stall, async () => {
          const path = await typed(each)
          await shown(each, itsMenu)
          await browser.key('Enter')
          await until('it in the file', ({ menu }) => menu.length === 0)
          return path
        })
        await expectSaved(path, each.text.replace('pai\n', `${othersWords[0]}\n`))
      },
    )

    test('changed between request and answer: the old answer is not shown, nothing typed is lost', async () => {
      const each = caseNamed('end of a line')
      const path = await typed(each)
      await shown(each, alone(each.fill))
      await stalled(stall, async () => {
        await browser.key('Backspace')
        await browser.key('i')
        await sleep(300)
        await browser.type('re')
      })
      await sleep(1000)
      expect((await browser.evaluate<Seen>(seen)).ghost).not.toContain('dth')
      await expectSaved(path, each.text.replace('return wi', 'return wire'))
    })
  })

  describe('with the embedded model', () => {
    beforeAll(() => start([process.execPath, resolve('dist/main.js'), '--stdio'], { 'lacuna.nearby': false }), 300_000)
    afterAll(async () => {
      await browser?.close()
      await vscode?.close()
    })

    test('shows and takes what `lacuna complete` prints', async () => {
      const copy = join(folder, 'stack.py')
      await copyFile('test/bench/files/stack.py', copy)
      const { text, cursor = 0 } = parseMarked((await readFile(copy, 'utf8')).replace('return \n', 'return s║\n'))
      await writeFile(copy, text)
      const fill = (await printed(copy, text, cursor, '--alone')).slice(0, -1)
      expect(fill).not.toBe('')
      const filled = text.slice(0, cursor) + fill + text.slice(cursor)
      await checkTaken({ name: '', file: basename(copy), text, cursor, fill, filled })
    })
  })

  /** Typed, shown, taken and saved. @param meanwhile what is done before the key. */
  async function checkTaken(each: Case, meanwhile = async () => {}): Promise<void> {
    const path = await typed(each)
    await shown(each, alone(each.fill))
    await meanwhile()
    await browser.key('Tab')
    await expectSaved(path, each.filled)
  }

  /** Types the last character before the mark of a new file. */
  async function typed({ file, text, cursor }: Case): Promise<string> {
    const path = join(vscode.workspace, `${Date.now()}-${file}`)
    const before = text.slice(0, cursor - 1)
    await writeFile(path, before + text.slice(cursor))
    const lines = before.split('\n')
    await open(path, lines.length, lines.at(-1)!.length + 1)
    await browser.until<string>('the keyboard', `document.activeElement?.className ?? ''`, (name) =>
      name.includes('edit-context'),
    )
    await browser.key(text[cursor - 1]!)
    return path
  }

  async function open(path: string, line = 1, column = 1): Promise<void> {
    await vscode.open(path, line, column)
    await browser.until<string>('the file', tab, (name) => name === basename(path))
  }

  function until(what: string, wanted: (now: Seen) => boolean, withinMs?: number): Promise<Seen> {
    return browser.until<Seen>(what, seen, wanted, withinMs)
  }

  /** Before the extensions were there nobody was asked, and later than in 750 ms VS Code takes no ghost text. */
  async function shown({ text, cursor }: Case, wanted: (now: Seen) => boolean): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        return void (await until('ghost text or menu', wanted, 4000))
      } catch (error) {
        if (tries === 10) throw error
        await browser.key('Escape')
        await browser.key('Backspace')
        await browser.key(text[cursor - 1]!)
      }
    }
  }

  async function expectSaved(path: string, text: string): Promise<void> {
    await sleep(200)
    await browser.key('ctrl+s')
    await expect.poll(() => readFile(path, 'utf8'), { timeout: 10_000 }).toBe(text)
  }
})

const alone =
  (text: string) =>
  ({ ghost, menu }: Seen) =>
    ghost === text && menu.length === 0

const itsMenu = ({ ghost, menu }: Seen) => ghost === '' && menu.join() === othersWords.join()
