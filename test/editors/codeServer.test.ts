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
import { type Case, caseNamed, cases, knownTexts } from './cases.ts'
import { type CodeServer, startCodeServer, whyNoCodeServer } from './codeServer.ts'
import { printed } from './printed.ts'

const extension = resolve('clients/vscode/lacuna.vsix')
const reason =
  whyNoCodeServer() ??
  whyNoBrowser() ??
  (existsSync(extension) ? '' : 'clients/vscode is not packaged; npm install && npm run package there')
if (reason) process.stderr.write(`VS Code itself is not tested: ${reason}\n`)

const ghost = `[...document.querySelectorAll('.ghost-text, .ghost-text-decoration')].map((each) => each.textContent).join('').replaceAll('\\u00a0', ' ')`
const tab = `document.querySelector('.tab.active')?.textContent ?? ''`

describe.skipIf(reason !== '')(`VS Code${reason && ` (skipped: ${reason})`}`, { timeout: 180_000 }, () => {
  let folder: string
  let stall: string
  let vscode: CodeServer
  let browser: Browser

  async function start(command: readonly string[], settings: object = {}): Promise<void> {
    const own = { 'lacuna.command': command, 'lacuna.showAbove': 0, 'editor.wordBasedSuggestions': 'off', ...settings }
    vscode = await startCodeServer(await mkdtemp(join(folder, 'home-')), extension, own, {
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
    await writeFile(join(folder, 'known.json'), JSON.stringify(knownTexts))
  })
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  describe('over the scripted engine', () => {
    beforeAll(async () => {
      const { scripted } = await buildServers(folder)
      await start([process.execPath, scripted, '--stdio'])
    }, 300_000)
    afterAll(async () => {
      await browser?.close()
      await vscode?.close()
    })

    test.each(cases)('ghost text: $name', async (each) => {
      const path = await typed(each)
      await shown(each, (text) => text === each.fill)
      await browser.key('Tab')
      await expectSaved(path, each.filled)
    })

    test('a word of it, then the rest', async () => {
      const each = caseNamed('end of a line')
      const path = await typed(each)
      await shown(each, (text) => text === each.fill)
      await browser.key('ctrl+ArrowRight')
      await browser.until<string>(
        'the rest',
        ghost,
        (text) => text !== '' && text !== each.fill && each.fill.endsWith(text),
      )
      await browser.key('Tab')
      await expectSaved(path, each.filled)
    })

    test('what is typed along is not doubled', async () => {
      const each = caseNamed('end of a line')
      const path = await typed(each)
      await shown(each, (text) => text === each.fill)
      await browser.type(each.fill.slice(0, 3))
      await browser.until<string>('the rest', ghost, (text) => text === each.fill.slice(3))
      await browser.key('Tab')
      await expectSaved(path, each.filled)
    })

    test('changed between request and answer: the old answer is not shown, nothing typed is lost', async () => {
      const each = caseNamed('end of a line')
      const path = await typed(each)
      await shown(each, (text) => text === each.fill)
      await writeFile(stall, '')
      try {
        await browser.key('Backspace')
        await browser.key('i')
        await sleep(300)
        await browser.type('re')
      } finally {
        await rm(stall)
      }
      await sleep(1000)
      expect(await browser.evaluate(ghost)).not.toContain('dth')
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
      const each = {
        name: '',
        file: basename(copy),
        text,
        cursor,
        fill,
        filled: text.slice(0, cursor) + fill + text.slice(cursor),
      }
      const path = await typed(each)
      await shown(each, (ghost) => ghost === fill)
      await browser.key('Tab')
      await expectSaved(path, each.filled)
    })
  })

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

  /** Before the extension was there nobody was asked. */
  async function shown({ text, cursor }: Case, wanted: (ghost: string) => boolean): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        return void (await browser.until('ghost text', ghost, wanted, 4000))
      } catch (error) {
        if (tries === 10) throw error
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
