/**
 * Neovim 0.12's ghost text and Neovim 0.11's menu over the scripted engine, byte for byte in the file that is written;
 * beside a second server, and with a document that is changed while it is asked about.
 */
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildServers, type Servers } from './buildServers.ts'
import { caseNamed, cases, knownTexts, othersWords, otherWay, twoServers, twoWays, wordOf } from './cases.ts'
import { expectWritten, findNeovim, findNeovim011, type Neovim, startNeovim, typed } from './neovim.ts'
import { soon, stalled } from './stalled.ts'
import { keepCapture, startTerminal, whyNoTerminal } from './terminal.ts'

let folder: string
let servers: Servers
let env: Record<string, string>

const newer = findNeovim()
const older = findNeovim011()
const reasonOf = (found: object) => ('reason' in found ? String(found.reason) : '')
for (const [name, found] of [['0.12', newer] as const, ['0.11', older] as const]) {
  if (reasonOf(found)) process.stderr.write(`Neovim ${name} is not tested: ${reasonOf(found)}\n`)
}
const programOf = (found: object) => ('program' in found ? String(found.program) : '')

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lacuna-servers-'))
  servers = await buildServers(folder)
  env = { LACUNA_KNOWN: join(folder, 'known.json'), LACUNA_STALL: join(folder, 'stall') }
  await writeFile(env.LACUNA_KNOWN!, JSON.stringify(knownTexts))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const setup = (options: string) => `
require('lacuna').setup({ cmd = { ${JSON.stringify(process.execPath)}, ${JSON.stringify(servers.scripted)}, '--stdio' }, ${options} })
vim.g.loaded_python3_provider = 0
vim.o.completeopt = 'menuone,noselect'
vim.o.expandtab = false`

const other = () => `
vim.lsp.config('other', { cmd = { ${JSON.stringify(process.execPath)}, ${JSON.stringify(servers.other)} }, filetypes = { 'python' } })
vim.lsp.enable('other')
vim.api.nvim_create_autocmd('LspAttach', { callback = function(event)
  local client = vim.lsp.get_client_by_id(event.data.client_id)
  if client.name == 'other' then vim.lsp.completion.enable(true, client.id, event.buf, { autotrigger = true }) end
end })`

describe.skipIf(reasonOf(newer) !== '')(
  `Neovim 0.12, scripted${reasonOf(newer) && ` (skipped: ${reasonOf(newer)})`}`,
  () => {
    let neovim: Neovim
    beforeAll(async () => {
      const keys =
        "keys = { word = '<C-l>', line = '<C-e>', next = '<C-n>', previous = '<C-p>' }, settings = { showAbove = 0 }"
      neovim = await startNeovim(programOf(newer), setup(keys), env)
    })
    afterAll(() => neovim?.close())

    test.each(cases)('ghost text: $name', async (each) => {
      const path = await typed(neovim, each)
      await neovim.until('ghost text', ({ ghost }) => ghost === each.fill)
      await neovim.keys('<Tab>')
      await expectWritten(neovim, path, each.filled)
    })

    test('a word, then the line', async () => {
      const each = caseNamed('end of a line')
      const path = await typed(neovim, each)
      await neovim.until('ghost text', ({ ghost }) => ghost === each.fill)
      await neovim.keys('<C-l>')
      await neovim.until(
        'a word, and the rest shown',
        ({ lines, ghost }) => lines[1] === '    return width' && ghost === ' * height',
      )
      await neovim.keys('<C-e>')
      await expectWritten(neovim, path, each.filled)
    })

    test('a word inside brackets leaves the rest of the line alone', async () => {
      const each = caseNamed('closing bracket')
      const path = await typed(neovim, each)
      await neovim.until('ghost text', ({ ghost }) => ghost === each.fill)
      await neovim.keys('<C-l>')
      await neovim.until(
        'a word',
        ({ lines, ghost }) => lines[2] === '    total = max(total, value)' && ghost === ' * 2',
      )
      await neovim.keys('<Tab>')
      await expectWritten(neovim, path, each.filled)
    })

    test('another candidate: the same again where the server has one only', async () => {
      const each = caseNamed('end of a line')
      const path = await typed(neovim, each)
      await neovim.until('ghost text', ({ ghost }) => ghost === each.fill)
      await neovim.keys('<C-n>')
      await sleep(500)
      await neovim.until('ghost text', ({ ghost }) => ghost.startsWith(each.fill))
      await neovim.keys('<Tab>')
      await expectWritten(neovim, path, each.filled)
    })

    test('the next candidate, the one before it, and the next one taken', async () => {
      const path = await typed(neovim, twoWays)
      await neovim.until('ghost text', ({ ghost }) => ghost === twoWays.fill)
      for (const [key, other] of [
        ['<C-n>', otherWay],
        ['<C-p>', twoWays],
        ['<C-n>', otherWay],
      ] as const) {
        await neovim.keys(key)
        await neovim.until('the other candidate', ({ ghost }) => ghost.startsWith(other.fill))
      }
      await neovim.keys('<Tab>')
      await expectWritten(neovim, path, otherWay.filled)
    })

    test('the statusline says while an answer is waited for', async () => {
      await stalled(env.LACUNA_STALL!, async () => {
        await typed(neovim, caseNamed('tabs'))
        await neovim.until('busy', ({ status }) => status === 'Lacuna…')
      })
      await neovim.until('no more', ({ status, ghost }) => status === '' && ghost === caseNamed('tabs').fill)
    })

    test('changed between request and answer: the old answer is not taken, nothing typed is lost', async () => {
      const each = caseNamed('end of a line')
      const path = await stalled(env.LACUNA_STALL!, async () => {
        const path = await typed(neovim, each)
        await neovim.until('a request', ({ waiting }) => waiting)
        await neovim.keys('re')
        return path
      })
      await sleep(600)
      await neovim.until('all answered', ({ waiting }) => !waiting)
      await expectWritten(neovim, path, each.text.replace('return wi', 'return wire'))
    })
  },
)

test.skipIf(reasonOf(newer) !== '')(
  `Neovim 0.12 asks once, while the model is being opened, and is answered${reasonOf(newer) && ` (skipped: ${reasonOf(newer)})`}`,
  async () => {
    const { text, cursor, fill } = caseNamed('end of a line')
    const opening = join(folder, 'opening')
    await writeFile(opening, '')
    const settings = 'settings = { showAbove = 0, inlineBudgetMs = 400 }'
    const neovim = await startNeovim(programOf(newer), setup(settings), { ...env, LACUNA_OPENING: opening })
    try {
      const lines = text.slice(0, cursor).split('\n')
      await neovim.edit('early.py', text, [lines.length, lines.at(-1)!.length])
      await neovim.keys('A')
      await neovim.until('a request', ({ waiting }) => waiting)
      await sleep(1000) // longer than its budget
      await rm(opening)
      await neovim.until('ghost text', ({ ghost }) => ghost === fill)
    } finally {
      await rm(opening, { force: true })
      await neovim.close()
    }
  },
)

/** A Neovim that is run by `ld.so` cannot start itself anew, as it does in a terminal. */
function whyNotOnScreen(): string | undefined {
  const wrapper = existsSync(programOf(newer)) ? readFileSync(programOf(newer), 'latin1').slice(0, 2000) : ''
  return /exec .*ld-linux/.test(wrapper) ? 'it is run by ld.so' : whyNoTerminal()
}

const noTerminal = reasonOf(newer) || (whyNotOnScreen() ?? '')
test.skipIf(noTerminal !== '')(
  `Neovim 0.12 in a terminal: on the screen, and cleared by moving${noTerminal && ` (skipped: ${noTerminal})`}`,
  async () => {
    const each = caseNamed('end of a line')
    const home = await mkdtemp(join(folder, 'home-'))
    const init = `vim.opt.runtimepath:append(${JSON.stringify(resolve('clients/neovim'))})\n${setup('settings = { showAbove = 0 }')}\n`
    await writeFile(join(home, 'init.lua'), init)
    await writeFile(join(home, 'plain.py'), each.text)
    const command = [programOf(newer), '-u', join(home, 'init.lua'), '-n', '-i', 'NONE', 'plain.py']
    const terminal = await startTerminal(command, home, {
      ...env,
      HOME: home,
      XDG_STATE_HOME: home,
      XDG_CACHE_HOME: home,
    })
    try {
      await terminal.until('the file', (screen) => screen.includes('return wi'))
      await terminal.type('jA')
      const screen = await terminal.until('ghost text', (text) => text.includes(`return wi${each.fill}`))
      await keepCapture('neovim', screen)
      await terminal.keys('Escape')
      await terminal.until('no ghost text', (text) => !text.includes(each.fill))
    } finally {
      await terminal.close()
    }
  },
)

describe.skipIf(reasonOf(newer) !== '')(
  `Neovim 0.12 beside another server${reasonOf(newer) && ` (skipped: ${reasonOf(newer)})`}`,
  () => {
    let neovim: Neovim
    beforeAll(async () => {
      neovim = await startNeovim(programOf(newer), setup('menu = true') + other(), env)
    })
    afterAll(() => neovim?.close())

    test('with our engine stalled the menu comes all the same', () => checkOtherMenu(neovim, 'Neovim 0.12'))

    test('ours in the menu too: ghost text when it is closed, and only then', async () => {
      const path = await typed(neovim, twoServers)
      await neovim.until('ghost text', ({ ghost }) => ghost === twoServers.fill)
      await neovim.keys('<C-x><C-o>')
      await neovim.until(
        'the menu alone',
        ({ menu, ghost }) => menu.some((label) => label.includes(twoServers.fill)) && ghost === '',
      )
      await sleep(400) // what was asked for before is not shown either
      expect((await neovim.state()).ghost).toBe('')
      await neovim.keys('<C-e>')
      await neovim.until('ghost text', ({ menu, ghost }) => menu.length === 0 && ghost === twoServers.fill)
      await neovim.keys('<Tab>')
      await expectWritten(neovim, path, twoServers.filled)
    })
  },
)

describe.skipIf(reasonOf(older) !== '')(`Neovim 0.11${reasonOf(older) && ` (skipped: ${reasonOf(older)})`}`, () => {
  let neovim: Neovim
  beforeAll(async () => {
    const settings = 'settings = { completionBudgetMs = 3000, showAbove = 0 }'
    neovim = await startNeovim(programOf(older), setup(settings), env)
  })
  afterAll(() => neovim?.close())

  test.each(cases)('menu: $name', async (each) => {
    const path = await typed(neovim, each)
    await neovim.keys('<C-x><C-o>')
    await neovim.until('the menu', ({ menu }) => menu.some((label) => label.includes(each.fill)))
    await neovim.keys('<C-n><C-y>')
    await expectWritten(neovim, path, each.filled)
  })

  test('the menu opens by itself at a trigger character', async () => {
    const each = caseNamed('tabs')
    // At the dot of `self.items[0]`.
    const cursor = each.cursor + 'f.'.length
    const text = each.filled.replace('self.items[0]', 'self.')
    const path = await typed(neovim, { ...each, text, cursor })
    await neovim.until('the menu', ({ menu }) => menu.some((label) => label.includes('items[0]')))
    await neovim.keys('<C-n><C-y>')
    await expectWritten(neovim, path, each.filled)
  })

  test('what is typed along is not doubled', async () => {
    const each = caseNamed('end of a line')
    const path = await typed(neovim, each)
    await neovim.keys('<C-x><C-o>')
    await neovim.until('the menu', ({ menu }) => menu.some((label) => label.includes(each.fill)))
    await neovim.keys(each.fill.slice(0, 3))
    await neovim.until(
      'the menu',
      ({ menu, lines }) => lines[1] === '    return width' && menu.some((label) => label.includes(each.fill)),
    )
    await neovim.keys('<C-n><C-y>')
    await expectWritten(neovim, path, each.filled)
  })

  test('changed between request and answer: nothing typed is lost', async () => {
    const each = caseNamed('end of a line')
    const path = await stalled(env.LACUNA_STALL!, async () => {
      const path = await typed(neovim, each)
      await neovim.keys('<C-x><C-o>')
      await sleep(300)
      await neovim.keys('re')
      return path
    })
    await sleep(600)
    await expectWritten(neovim, path, each.text.replace('return wi', 'return wire'))
  })
})

describe.skipIf(reasonOf(older) !== '')(
  `Neovim 0.11 beside another server${reasonOf(older) && ` (skipped: ${reasonOf(older)})`}`,
  () => {
    let neovim: Neovim
    beforeAll(async () => {
      neovim = await startNeovim(programOf(older), setup('') + other(), env)
    })
    afterAll(() => neovim?.close())

    test('with our engine stalled the menu comes all the same', () => checkOtherMenu(neovim, 'Neovim 0.11'))

    const words = [...othersWords, wordOf(twoServers) + twoServers.fill]
    test.each(words)('both in the menu: %s is taken', async (word) => {
      const path = await typed(neovim, twoServers)
      const menu = await bothListed(neovim, words)
      await neovim.keys(`${'<C-n>'.repeat(menu.indexOf(word) + 1)}<C-y>`)
      await expectWritten(neovim, path, twoServers.text.replace('return pai', `return ${word}`))
    })
  },
)

/** What is late comes when asked for again. */
async function bothListed(neovim: Neovim, words: readonly string[]): Promise<readonly string[]> {
  for (let tries = 0; ; tries++) {
    await neovim.keys('<C-x><C-o>')
    try {
      return (await neovim.until('both', ({ menu }) => words.every((word) => menu.includes(word)), 2000)).menu
    } catch (error) {
      if (tries === 5) throw error
      await neovim.keys('<C-e>')
    }
  }
}

async function checkOtherMenu(neovim: Neovim, name: string): Promise<void> {
  await stalled(env.LACUNA_STALL!, async () => {
    const each = caseNamed('end of a line')
    const path = await typed(neovim, { ...each, text: 'value = other\n', cursor: 'value = other'.length })
    await sleep(500) // the other server starts
    await soon(name, async () => {
      await neovim.keys('<C-x><C-o>')
      await neovim.until('the menu', ({ menu }) => menu.some((label) => label.includes('otherServerWord')))
    })
    await neovim.keys('<C-n><C-y>')
    await expectWritten(neovim, path, 'value = otherServerWord\n')
  })
}
