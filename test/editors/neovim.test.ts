/**
 * Neovim, the client in clients/neovim, the built server and the embedded model: what is shown is what `lacuna complete`
 * prints, and what is taken is what is shown, byte for byte in the file that is written. Of 0.11 the menu.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseMarked } from '../markup.ts'
import {
  embedded,
  findNeovim,
  findNeovim011,
  type Neovim,
  expectWritten as saved,
  startNeovim,
  typed,
} from './neovim.ts'
import { printed } from './printed.ts'

const found = findNeovim()
const reason = 'reason' in found ? found.reason : ''
// A skipped suite's name is not printed.
if (reason) process.stderr.write(`Neovim is not tested: ${reason}\n`)

describe.skipIf(reason !== '')(`Neovim${reason && ` (skipped: ${reason})`}`, () => {
  let neovim: Neovim

  beforeAll(async () => {
    neovim = await startNeovim('program' in found ? found.program : '')
  })
  afterAll(() => neovim?.close())

  // First, while there is no server yet.
  test('asks when insert mode was there before the server', async () => {
    const { text, cursor = 0 } = parseMarked(stack)
    const { line, before } = placeOf(text, cursor)
    await neovim.edit('early.py', text, [line, before.length])
    await neovim.keys('A')
    expect(await neovim.ghost()).not.toBe('')
  })

  test('shows and takes what `lacuna complete` prints', async () => {
    const text = await readFile('test/bench/files/stack.py', 'utf8')
    await checkTaken('stack.py', text.replace('return \n', 'return ║\n'))
  })

  test('keeps CRLF and tabs', () =>
    checkTaken(
      'crlf.py',
      'class Stack:\r\n\tdef __init__(self):\r\n\t\tself.items = []\r\n\r\n\tdef __len__(self):\r\n\t\treturn len(║\r\n\r\n\tdef clear(self):\r\n\t\tself.items = []\r\n',
    ))

  test('counts characters outside the BMP', () =>
    checkTaken('crabs.py', 'names = ["🦀", "🐍"]\nfor name in names:\n    print("🦀🦀 " + na║)\n'))

  test('fills in the middle of a word and of a line', () =>
    checkTaken(
      'half.py',
      'class Stack:\n    def __init__(self):\n        self.items = []\n\n    def size(self):\n        return len(se║.items)\n',
    ))

  test('no line break at the end of the file stays none', () =>
    checkTaken('open.py', 'def add(first, second):\n    return first + ║'))

  test('what was typed of the ghost text is not doubled', async () => {
    const { path, text, cursor, ghost } = await shown('typed.py', stack)
    const typed = ghost.slice(0, 2)
    // In one go with the key, so that nothing can be asked for in between.
    await neovim.keys(`${typed.replaceAll('<', '<lt>')}<Tab>`)
    await expectWritten(path, text.slice(0, cursor) + ghost + text.slice(cursor))
  })

  test('ghost text that no longer fits is not taken', async () => {
    const { path, text, cursor, ghost } = await shown('stale.py', stack)
    expect(ghost.startsWith('list(')).toBe(false)
    await neovim.keys('list(self.<Tab>')
    // Asked anew by our client: after a refusal Neovim would not.
    expect(await neovim.ghost(({ ghost: now }) => !ghost.endsWith(now))).toContain('items')
    await expectWritten(path, `${text.slice(0, cursor)}list(self.${text.slice(cursor)}`)
  })

  test('taking can be undone alone, and then what was typed', async () => {
    const { path, text, cursor, ghost } = await shown('undo.py', stack)
    await neovim.keys(`${ghost[0]}<Tab>`)
    await taken(ghost)
    await neovim.keys('<Esc>u')
    await expectWritten(path, text.slice(0, cursor) + ghost[0] + text.slice(cursor))
    await neovim.keys('u')
    await expectWritten(path, text)
  })

  test('without ghost text the key is the key it was', async () => {
    const { path, text, cursor } = await insertMode('key.py', 'a║\n')
    await neovim.keys('<Esc>a<Tab>b')
    await expectWritten(path, `${text.slice(0, cursor)}   b\n`)
  })

  test('without ghost text a mapping of the user is what it was', async () => {
    await neovim.keys(':inoremap <lt>Tab> mapped<CR>')
    try {
      const { path } = await insertMode('mapped.py', 'a║\n')
      await neovim.keys('<Esc>a<Tab>b')
      await expectWritten(path, 'amappedb\n')
    } finally {
      await neovim.keys('<C-\\><C-n>:iunmap <lt>Tab><CR>')
    }
  })

  const stack =
    'class Stack:\n    def __init__(self):\n        self.items = []\n\n    def __len__(self):\n        return len(║\n\n    def clear(self):\n        self.items = []\n'

  async function checkTaken(name: string, marked: string): Promise<void> {
    const { path, text, cursor, ghost } = await shown(name, marked)
    expect(`${ghost}\n`).toBe(await printed(path, text, cursor, '--alone'))
    await neovim.keys('<Tab>')
    await taken(ghost)
    await expectWritten(path, text.slice(0, cursor) + ghost + text.slice(cursor))
  }

  async function shown(name: string, marked: string) {
    const opened = await insertMode(name, marked)
    return { ...opened, ghost: await neovim.ghost() }
  }

  /** At the mark in a new file. */
  async function insertMode(name: string, marked: string) {
    const { text, cursor = 0 } = parseMarked(marked)
    const { before, line } = placeOf(text, cursor)
    const byte = Buffer.byteLength(before)
    const path = await neovim.edit(name, text, [line, byte])
    const { cursor: at } = await neovim.until('the server in that buffer', ({ attached }) => attached)
    // At the end of a line the cursor is on the last character.
    await neovim.keys(at[1] === byte ? 'i' : 'a')
    await neovim.until('insert mode at the mark', ({ mode, cursor: [, at] }) => mode === 'i' && at === byte)
    return { path, text, cursor }
  }

  function taken(ghost: string) {
    return neovim.until('the ghost text in the buffer', ({ lines }) => lines.some((line) => line.includes(ghost)))
  }

  async function expectWritten(path: string, text: string): Promise<void> {
    await neovim.keys('<C-\\><C-n>:write<CR>')
    await expect.poll(() => readFile(path, 'utf8'), { timeout: 5000 }).toBe(text)
  }
})

const older = findNeovim011()
const reason011 = 'reason' in older ? older.reason : ''
describe.skipIf(reason011 !== '')(`Neovim 0.11${reason011 && ` (skipped: ${reason011})`}`, () => {
  let neovim: Neovim
  beforeAll(async () => {
    const menu = `${embedded('completionBudgetMs = 5000')}\nvim.o.completeopt = 'menuone,noselect'`
    neovim = await startNeovim('program' in older ? older.program : '', menu)
  })
  afterAll(() => neovim?.close())

  test('what `lacuna complete` prints is taken from the menu', { timeout: 180_000 }, async () => {
    const text = (await readFile('test/bench/files/stack.py', 'utf8')).replace('return \n', 'return se\n')
    const cursor = text.indexOf('return se\n') + 'return se'.length
    const path = await typed(neovim, { name: '', file: 'stack.py', text, cursor, fill: '', filled: '' })
    const copy = `${neovim.folder}/copy.py`
    await writeFile(copy, text)
    const fill = (await printed(copy, text, cursor, '--alone')).slice(0, -1)
    expect(fill).not.toBe('')
    await listed(`se${fill}`)
    await neovim.keys('<C-n><C-y>')
    await saved(neovim, path, text.slice(0, cursor) + fill + text.slice(cursor))
  })

  /** Before the model is there the menu has nothing. */
  async function listed(word: string): Promise<void> {
    for (let tries = 0; ; tries++) {
      await neovim.keys('<C-x><C-o>')
      try {
        return void (await neovim.until('the menu', ({ menu }) => menu.includes(word), 6000))
      } catch (error) {
        if (tries === 10) throw error
        await neovim.keys('<C-e>')
      }
    }
  }
})

/** The line, from 1, and what stands on it before the cursor. */
function placeOf(text: string, cursor: number): { line: number; before: string } {
  const lines = text.slice(0, cursor).split('\n')
  return { line: lines.length, before: lines.at(-1)! }
}
