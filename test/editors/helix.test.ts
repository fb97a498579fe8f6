/**
 * Helix in a terminal, set up as clients/helix says: typed as a person types, taken from the menu, written, and compared
 * byte for byte.
 */
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { type Case, caseNamed } from './cases.ts'
import { openWork, testMenu } from './menuTests.ts'
import { printed } from './printed.ts'
import { soon, stalled } from './stalled.ts'
import { keepCapture, startTerminal, type Terminal, whyNoTerminal } from './terminal.ts'

const program = process.env.LACUNA_HELIX ?? 'hx'
const reason = spawnSync(program, ['--version']).error
  ? `no ${program}; LACUNA_HELIX can name one`
  : (whyNoTerminal() ?? '')
if (reason) process.stderr.write(`Helix is not tested: ${reason}\n`)

describe.skipIf(reason !== '')(`Helix${reason && ` (skipped: ${reason})`}`, () => {
  const work = openWork('helix')
  let terminal: Terminal | undefined
  afterEach(() => terminal?.close())
  let lastKey = ''

  testMenu(work, {
    ...{ terminal: () => terminal!, typed, type: (text) => terminal!.type(text, 60), take, expectWritten },
    menu: (label) => menu(label, retype), // what comes late comes at the next key; C-x does nothing over an open menu
    next: 'Tab',
    close: () => terminal!.keys('Enter'),
  })

  test("with our engine stalled the other server's menu comes all the same", async () => {
    await stalled(work.stall, async () => {
      const path = await typed({ ...caseNamed('end of a line'), text: 'value = other\n', cursor: 13 }, [
        'other',
        'lacuna',
      ])
      await soon('Helix', () => terminal!.until('the other menu', (screen) => screen.includes('otherServerWord')))
      await terminal!.keys('Tab')
      await expectWritten(path, 'value = otherServerWord\n')
    })
  })

  const stack = 'test/bench/files/stack.py'
  // As Helix and Lacuna come: words of the file are completed by Helix itself from seven letters on, Lacuna has 80 ms.
  test.each([
    { word: 'se', from: 'return \n', name: 'two letters' },
    { word: 'IndexEr', from: 'raise IndexError("peek at an empty stack")\n', name: "seven, beside Helix's own words" },
  ])(
    'the embedded model, default settings: takes of what `lacuna complete` prints what is sure, after $name',
    async ({ word, from }) => {
      const head = from.split(' ')[0]
      const text = (await readFile(stack, 'utf8')).replace(from, `${head} ${word}\n`)
      const cursor = text.indexOf(`${head} ${word}\n`) + `${head} ${word}`.length
      const copy = join(work.folder, 'stack.py')
      await writeFile(copy, text)
      const fill = (await printed(copy, text, cursor)).slice(0, -1)
      expect(fill).not.toBe('')
      const path = await typed({ name: '', file: 'stack.py', text, cursor, fill, filled: '' }, ['lacuna'], 'default')
      await menu(word, retype) // before the model was there it had nothing
      if (word.length >= 7) await terminal!.until("Helix's word", (screen) => /IndexError +word\b/.test(screen))
      // Unasked, what `showAbove` lets through: the beginning.
      const [, label = ''] = new RegExp(`(${word}\\S.*?) +text\\b`).exec(await terminal!.screen()) ?? []
      expect((word + fill).startsWith(label), `${label} of ${word}${fill}`).toBe(true)
      expect(label.length).toBeGreaterThan(word.length)
      await take(label, retype)
      await expectWritten(path, text.slice(0, cursor - word.length) + label + text.slice(cursor))
    },
    180_000,
  )

  /** Types the last character before the mark. */
  async function typed(
    { file, text, cursor }: Case,
    names: readonly string[] = ['lacuna'],
    settings: 'scripted' | 'default' = 'scripted',
  ): Promise<string> {
    const home = await mkdtemp(join(work.folder, 'home-'))
    const configHome = join(home, '.config')
    await mkdir(join(configHome, 'helix'), { recursive: true })
    await writeFile(
      join(configHome, 'helix', 'config.toml'),
      settings === 'default' ? '' : '[editor]\ninsert-final-newline = false\nword-completion.enable = false\n',
    )
    await writeFile(join(configHome, 'helix', 'languages.toml'), languages(names, settings))
    const path = join(home, file)
    const before = text.slice(0, cursor - 1)
    await writeFile(path, before + text.slice(cursor))
    const lines = before.split('\n')
    const column = [...lines.at(-1)!].length + 1
    terminal = await startTerminal([program, `${path}:${lines.length}:${column}`], home, {
      HOME: home,
      XDG_CONFIG_HOME: configHome,
      XDG_CACHE_HOME: join(home, 'cache'),
      LANG: 'C.UTF-8',
      ...work.env,
    })
    await terminal.until('the file', (screen) => screen.includes('NOR') && screen.includes(file))
    await sleep(names.length > 1 ? 3000 : 1000) // the server starts; nothing on the screen tells
    await terminal.keys('i')
    await terminal.until('insert mode', (screen) => screen.includes('INS'))
    lastKey = text[cursor - 1]!
    await terminal.type(lastKey)
    return path
  }

  async function retype(): Promise<void> {
    await terminal!.keys('BSpace')
    await terminal!.type(lastKey)
  }

  /** A line of the menu has the item's kind at its end. */
  async function menu(label: string, again: () => Promise<void> = () => terminal!.keys('C-x')): Promise<void> {
    const shown = new RegExp(`${label.replace(/[^\w\s]/g, '\\$&')}.* (text|snippet)\\b`)
    for (let tries = 0; ; tries++) {
      try {
        return void (await terminal!.until('the menu', (screen) => shown.test(screen), 2500))
      } catch (error) {
        if (tries === 40) throw error
        await again() // before the server was there nobody was asked
      }
    }
  }

  async function take(label: string, again?: () => Promise<void>): Promise<void> {
    await menu(label, again)
    await terminal!.keys('Tab')
    if (label === 'width * height') await keepCapture('helix', await terminal!.screen())
    await sleep(150)
    await terminal!.keys('Enter')
  }

  async function expectWritten(path: string, text: string): Promise<void> {
    await terminal!.keys('Escape')
    await terminal!.until('normal mode', (screen) => screen.includes('NOR'))
    await terminal!.type(':w')
    await terminal!.keys('Enter')
    await expect.poll(() => readFile(path, 'utf8'), { timeout: 5000 }).toBe(text)
  }

  function languages(names: readonly string[], settings: 'scripted' | 'default'): string {
    const server = settings === 'default' ? resolve('dist/main.js') : work.servers.scripted
    const config = `config = { completionBudgetMs = ${names.length > 1 ? 80 : 3000}, showAbove = 0 }`
    return `
[language-server.lacuna]
command = ${JSON.stringify(process.execPath)}
args = ${JSON.stringify([server, '--stdio'])}
${settings === 'default' ? '' : config}

[language-server.other]
command = ${JSON.stringify(process.execPath)}
args = ${JSON.stringify([work.servers.other])}

[[language]]
name = "python"
language-servers = ${JSON.stringify(names)}
`
  }
})
