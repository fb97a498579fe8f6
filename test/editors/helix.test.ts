/**
 * Helix in a terminal, set up as clients/helix says: typed as a person types, taken from the menu, written, and compared
 * byte for byte.
 */
import { execFile, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildServers, type Servers } from './buildServers.ts'
import { type Case, caseNamed, cases, knownTexts } from './cases.ts'
import { keepCapture, startTerminal, type Terminal, whyNoTerminal } from './terminal.ts'

const program = process.env.LACUNA_HELIX ?? 'hx'
const reason = spawnSync(program, ['--version']).error
  ? `no ${program}; LACUNA_HELIX can name one`
  : (whyNoTerminal() ?? '')
if (reason) process.stderr.write(`Helix is not tested: ${reason}\n`)

describe.skipIf(reason !== '')(`Helix${reason && ` (skipped: ${reason})`}`, () => {
  let folder: string
  let servers: Servers
  let stall: string
  let terminal: Terminal | undefined

  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'lacuna-helix-')))
    servers = await buildServers(folder)
    stall = join(folder, 'stall')
    await writeFile(join(folder, 'known.json'), JSON.stringify(knownTexts))
  })
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  test.each(cases)('$name', async (each) => {
    const path = await typed(each)
    await take(wordOf(each) + each.fill)
    await expectWritten(path, each.filled)
  })

  test('what is typed along is not doubled', async () => {
    const each = caseNamed('end of a line')
    const path = await typed(each)
    await menu(`wi${each.fill}`)
    await terminal!.type(each.fill.slice(0, 3), 60)
    await take(wordOf(each) + each.fill)
    await expectWritten(path, each.filled)
  })

  test('changed between request and answer: nothing typed is lost', async () => {
    const each = caseNamed('end of a line')
    await writeFile(stall, '')
    const path = await typed(each)
    await sleep(600) // it has asked: 250 ms after the key
    await terminal!.type('re', 60)
    await rm(stall)
    await sleep(800)
    await expectWritten(path, each.text.replace('return wi', 'return wire'))
  })

  test("with our engine stalled the other server's menu comes all the same", async () => {
    await writeFile(stall, '')
    try {
      const path = await typed({ ...caseNamed('end of a line'), text: 'value = other\n', cursor: 13 }, [
        'other',
        'lacuna',
      ])
      const began = performance.now()
      await terminal!.until('the other menu', (screen) => screen.includes('otherServerWord'))
      process.stderr.write(
        `Helix: the other server's menu after ${Math.round(performance.now() - began)} ms, ours stalled\n`,
      )
      expect(performance.now() - began).toBeLessThan(1500)
      await terminal!.keys('Tab')
      await expectWritten(path, 'value = otherServerWord\n')
    } finally {
      await rm(stall, { force: true })
    }
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
      const lines = text.slice(0, cursor).split('\n')
      const copy = join(folder, 'stack.py')
      await writeFile(copy, text)
      const place = `${copy}:${lines.length}:${lines.at(-1)!.length + 1}`
      const { stdout } = await promisify(execFile)(process.execPath, [resolve('dist/main.js'), 'complete', place])
      const fill = stdout.slice(0, -1)
      expect(fill).not.toBe('')
      const path = await typed({ name: '', file: 'stack.py', text, cursor, fill, filled: '' }, ['lacuna'], 'default')
      const again = async () => {
        await terminal!.keys('BSpace')
        await terminal!.type(word.at(-1)!)
      }
      await menu(word, again) // before the model was there it had nothing
      if (word.length >= 7) await terminal!.until("Helix's word", (screen) => /IndexError +word\b/.test(screen))
      // Unasked, what `showAbove` lets through: the beginning.
      const [, label = ''] = new RegExp(`(${word}\\S.*?) +text\\b`).exec(await terminal!.screen()) ?? []
      expect((word + fill).startsWith(label), `${label} of ${word}${fill}`).toBe(true)
      expect(label.length).toBeGreaterThan(word.length)
      await take(label, again)
      await expectWritten(path, text.slice(0, cursor - word.length) + label + text.slice(cursor))
    },
    180_000,
  )

  /** What the item begins with: the word before the cursor. */
  function wordOf({ text, cursor }: Case): string {
    return /\w*$/.exec(text.slice(0, cursor))![0]
  }

  /** Types the last character before the mark. */
  async function typed(
    { file, text, cursor }: Case,
    names: readonly string[] = ['lacuna'],
    settings: 'scripted' | 'default' = 'scripted',
  ): Promise<string> {
    const home = await mkdtemp(join(folder, 'home-'))
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
      LACUNA_KNOWN: join(folder, 'known.json'),
      LACUNA_STALL: stall,
    })
    await terminal.until('the file', (screen) => screen.includes('NOR') && screen.includes(file))
    await sleep(names.length > 1 ? 3000 : 1000) // the server starts; nothing on the screen tells
    await terminal.keys('i')
    await terminal.until('insert mode', (screen) => screen.includes('INS'))
    await terminal.type(text[cursor - 1]!)
    return path
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
    try {
      await expect.poll(() => readFile(path, 'utf8'), { timeout: 5000 }).toBe(text)
    } finally {
      await terminal!.close()
    }
  }

  function languages(names: readonly string[], settings: 'scripted' | 'default'): string {
    const server = settings === 'default' ? resolve('dist/main.js') : servers.scripted
    const config = `config = { completionBudgetMs = ${names.length > 1 ? 80 : 3000}, showAbove = 0 }`
    return `
[language-server.lacuna]
command = ${JSON.stringify(process.execPath)}
args = ${JSON.stringify([server, '--stdio'])}
${settings === 'default' ? '' : config}

[language-server.other]
command = ${JSON.stringify(process.execPath)}
args = ${JSON.stringify([servers.other])}

[[language]]
name = "python"
language-servers = ${JSON.stringify(names)}
`
  }
})
