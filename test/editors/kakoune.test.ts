/**
 * Kakoune in a terminal with kakoune-lsp, set up as clients/kakoune says: typed as a person types, taken from the menu,
 * written, and compared byte for byte.
 */
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { type Case, caseNamed } from './cases.ts'
import { openWork, testMenu } from './menuTests.ts'
import { printed } from './printed.ts'
import { stalled } from './stalled.ts'
import { keepCapture, startTerminal, type Terminal, whyNoTerminal } from './terminal.ts'

const program = process.env.LACUNA_KAKOUNE ?? 'kak'
const client = process.env.LACUNA_KAK_LSP ?? 'kak-lsp'
const reason = spawnSync(program, ['-version']).error
  ? `no ${program}; LACUNA_KAKOUNE can name one`
  : spawnSync(client, ['--version']).error
    ? `no ${client}; LACUNA_KAK_LSP can name one`
    : (whyNoTerminal() ?? '')
if (reason) process.stderr.write(`Kakoune is not tested: ${reason}\n`)

describe.skipIf(reason !== '')(`Kakoune${reason && ` (skipped: ${reason})`}`, () => {
  const work = openWork('kak')
  let terminal: Terminal | undefined
  afterEach(() => terminal?.close())
  let lastKey = ''

  testMenu(work, {
    ...{ terminal: () => terminal!, typed, type: (text) => terminal!.type(text, 60), menu, take, expectWritten },
    next: 'C-n',
    close: async () => {}, // leaving insert mode takes it
  })

  test("with our engine stalled the other server's menu comes all the same", async () => {
    await stalled(work.stall, async () => {
      const path = await typed({ ...caseNamed('end of a line'), text: 'value = other\n', cursor: 13 }, [
        'other',
        'lacuna',
      ])
      await menu('otherServerWord')
      await terminal!.keys('C-n')
      await expectWritten(path, 'value = otherServerWord\n')
    })
  })

  test('the embedded model, given time: what is taken is the beginning of what `lacuna complete` prints', async () => {
    const text = (await readFile('test/bench/files/stack.py', 'utf8')).replace('return \n', 'return se\n')
    const cursor = text.indexOf('return se\n') + 'return se'.length
    const copy = join(work.folder, 'stack.py')
    await writeFile(copy, text)
    const fill = (await printed(copy, text, cursor)).slice(0, -1)
    expect(fill).not.toBe('')
    const path = await typed({ name: '', file: 'stack.py', text, cursor, fill, filled: '' }, ['lacuna'], 'default')
    await menu(`se${fill.slice(0, 3)}`)
    await terminal!.keys('C-n')
    await sleep(300)
    const written = await save(path, (now) => now !== text)
    const taken = written.slice(cursor, written.length - (text.length - cursor))
    expect(taken).not.toBe('')
    expect(fill.startsWith(taken), `${taken} of ${fill}`).toBe(true)
    expect(written).toBe(text.slice(0, cursor) + taken + text.slice(cursor))
  }, 120_000)

  /** Types the last character before the mark. */
  async function typed(
    { file, text, cursor }: Case,
    names: readonly string[] = ['lacuna'],
    settings: 'scripted' | 'default' = 'scripted',
  ): Promise<string> {
    const home = await mkdtemp(join(work.folder, 'h-'))
    await mkdir(join(home, '.config', 'kak'), { recursive: true })
    await mkdir(join(home, 'run'), { mode: 0o700 })
    await writeFile(join(home, '.config', 'kak', 'kakrc'), kakrc(names, settings))
    const path = join(home, file)
    const before = text.slice(0, cursor - 1)
    await writeFile(path, before + text.slice(cursor))
    const lines = before.split('\n')
    const column = Buffer.byteLength(lines.at(-1)!) + 1
    terminal = await startTerminal([program, path, `+${lines.length}:${column}`], home, {
      HOME: home,
      XDG_CONFIG_HOME: join(home, '.config'),
      XDG_RUNTIME_DIR: join(home, 'run'),
      TMPDIR: home,
      PATH: `${dirname(program)}:${dirname(client)}:${process.env.PATH}`,
      LANG: 'C.UTF-8',
      ...work.env,
    })
    await terminal.until('the file', (screen) => screen.includes(file))
    await sleep(names.length > 1 ? 3000 : 1500) // the servers start; nothing on the screen tells
    await terminal.keys('i')
    await terminal.until('insert mode', (screen) => screen.includes('insert'))
    lastKey = text[cursor - 1]!
    await terminal.type(lastKey)
    return path
  }

  async function menu(label: string): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        return void (await terminal!.until('the menu', (screen) => screen.includes(label), 3000))
      } catch (error) {
        if (tries === 12) throw error
        // Before the server was there nobody was asked, and kakoune-lsp asks after a change only.
        await terminal!.keys('BSpace')
        await sleep(300)
        await terminal!.type(lastKey)
        await sleep(300) // until then the menu is that of the text before
      }
    }
  }

  async function take(label: string): Promise<void> {
    await menu(label)
    if (label === 'width * height') await keepCapture('kakoune', await terminal!.screen())
    await terminal!.keys('C-n')
    await sleep(300)
  }

  async function save(path: string, wanted: (text: string) => boolean): Promise<string> {
    await terminal!.keys('Escape')
    await sleep(400) // a snippet is put in when the menu closes
    await terminal!.type(':w')
    await terminal!.keys('Enter')
    try {
      await expect.poll(async () => wanted(await readFile(path, 'utf8')), { timeout: 3000 }).toBe(true)
    } catch {}
    return readFile(path, 'utf8')
  }

  async function expectWritten(path: string, text: string): Promise<void> {
    expect(await save(path, (now) => now === text)).toBe(text)
  }

  function kakrc(names: readonly string[], settings: 'scripted' | 'default'): string {
    const ours = settings === 'default' ? resolve('dist/main.js') : work.servers.scripted
    const blocks: Record<string, string> = {
      lacuna: `[lacuna]
command = ${JSON.stringify(process.execPath)}
args = ${JSON.stringify([ours, '--stdio'])}
root_globs = [".git", ".hg"]
settings_section = "lacuna"
[lacuna.settings.lacuna]
completionBudgetMs = ${names.length > 1 ? 80 : 3000}
${settings === 'default' ? '' : 'showAbove = 0'}
`,
      other: `[other]
command = ${JSON.stringify(process.execPath)}
args = ${JSON.stringify([work.servers.other])}
root_globs = [".git", ".hg"]
`,
    }
    return `evaluate-commands %sh{${client}}
remove-hooks global lsp-filetype-python
hook global BufCreate .*[.]py %{ set-option buffer filetype python }
hook -group lacuna global BufSetOption filetype=python %{
    set-option buffer lsp_servers %{
${names.map((name) => blocks[name]).join('\n')}
    }
}
lsp-enable
`
  }
})
