/**
 * Neovim 0.12 with the menus people have in place of its own: nvim-cmp's and blink.cmp's, set up as their READMEs say. Beside
 * our ghost text with another server's words in them, and with our completions in them; byte for byte in the file.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildServers, type Servers } from './buildServers.ts'
import { caseNamed, cases, knownTexts, othersWords, twoServers, wordOf } from './cases.ts'
import { expectWritten, findNeovim, type Neovim, type NeovimState, startNeovim, typed } from './neovim.ts'
import { soon, stalled } from './stalled.ts'

const found = findNeovim()
const program = 'program' in found ? found.program : ''
const folderOfPlugins = process.env.LACUNA_NVIM_PLUGINS ?? ''

const plugins = [
  {
    name: 'nvim-cmp',
    needs: ['nvim-cmp', 'cmp-nvim-lsp'],
    toTheFirst: 1,
    lua: `
local cmp = require('cmp')
require('cmp_nvim_lsp').setup()
vim.lsp.config('*', { capabilities = require('cmp_nvim_lsp').default_capabilities() })
cmp.setup({
  sources = { { name = 'nvim_lsp' } },
  mapping = cmp.mapping.preset.insert({
    ['<C-Space>'] = cmp.mapping.complete(), ['<C-e>'] = cmp.mapping.abort(), ['<CR>'] = cmp.mapping.confirm({ select = true }),
  }),
})`,
  },
  {
    name: 'blink.cmp',
    needs: ['blink.cmp'],
    toTheFirst: 0,
    // Its matcher in Rust is a download.
    lua: `
vim.lsp.config('*', { capabilities = require('blink.cmp').get_lsp_capabilities() })
require('blink.cmp').setup({ keymap = { preset = 'enter' }, sources = { default = { 'lsp' } }, fuzzy = { implementation = 'lua' } })`,
  },
].map((plugin) => {
  const missing = plugin.needs.find((name) => !existsSync(join(folderOfPlugins, name)))
  const why = missing && `no ${missing}; LACUNA_NVIM_PLUGINS can name a folder with it`
  const reason = 'reason' in found ? found.reason : (why ?? '')
  if (reason) process.stderr.write(`${plugin.name} is not tested: ${reason}\n`)
  const paths = plugin.needs.map((name) => `vim.opt.runtimepath:append(${JSON.stringify(join(folderOfPlugins, name))})`)
  return { ...plugin, lua: `${paths.join('\n')}\n${plugin.lua}`, reason, skipped: reason && ` (skipped: ${reason})` }
})

let folder: string
let servers: Servers
let env: Record<string, string>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lacuna-servers-'))
  servers = await buildServers(folder)
  env = { LACUNA_KNOWN: join(folder, 'known.json'), LACUNA_STALL: join(folder, 'stall') }
  await writeFile(env.LACUNA_KNOWN!, JSON.stringify(knownTexts))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const ours = (options: string) => `
require('lacuna').setup({ cmd = { ${JSON.stringify(process.execPath)}, ${JSON.stringify(servers.scripted)}, '--stdio' }, ${options} })`
const other = () => `
vim.lsp.config('other', { cmd = { ${JSON.stringify(process.execPath)}, ${JSON.stringify(servers.other)} }, filetypes = { 'python' } })
vim.lsp.enable('other')`

for (const plugin of plugins) {
  describe.skipIf(plugin.reason !== '')(`${plugin.name} beside ghost text${plugin.skipped}`, () => {
    let neovim: Neovim
    beforeAll(async () => {
      neovim = await startNeovim(program, plugin.lua + ours('') + other(), env)
    })
    afterAll(() => neovim?.close())

    test("the other server's words in the menu, ours after the cursor; the key takes ours", async () => {
      const path = await typed(neovim, twoServers)
      const shown = await neovim.until(
        'menu and ghost text',
        ({ menu, ghost }) => menu.length > 0 && ghost === twoServers.fill,
      )
      expect([...shown.menu].sort()).toEqual([...othersWords])
      await neovim.keys('<Tab>')
      await neovim.until('it in the buffer', ({ lines }) => lines.includes(`    return pai${twoServers.fill}`))
      await expectWritten(neovim, path, twoServers.filled)
    })

    test('what is taken from the menu is there once', async () => {
      const path = await typed(neovim, twoServers)
      await neovim.until('menu and ghost text', ({ menu, ghost }) => menu.length > 0 && ghost === twoServers.fill)
      await neovim.keys('<CR>')
      await neovim.until('it in the buffer', ({ lines }) => lines.includes(`    return ${othersWords[0]}`))
      await neovim.until('no ghost text', ({ ghost }) => ghost === '')
      await expectWritten(neovim, path, twoServers.text.replace('pai\n', `${othersWords[0]}\n`))
    })
  })

  describe.skipIf(plugin.reason !== '')(`${plugin.name} with our completions${plugin.skipped}`, () => {
    let neovim: Neovim
    beforeAll(async () => {
      const options = 'menu = true, settings = { completionBudgetMs = 3000 }'
      neovim = await startNeovim(program, plugin.lua + ours(options), env)
    })
    afterAll(() => neovim?.close())

    test.each(cases)('taken from the menu, shown there alone: $name', async (each) => {
      const path = await typed(neovim, each)
      await neovim.until('the menu', ({ menu }) => menu.some((label) => label.includes(each.fill)))
      await sleep(400) // ghost text would have come, too
      expect(await neovim.until('answers', ({ waiting }) => !waiting)).toMatchObject({ ghost: '' })
      await neovim.keys('<CR>')
      const [line] = each.filled.slice(each.cursor + each.fill.length).split(/\r?\n/)
      const filled =
        each.filled
          .slice(0, each.cursor + each.fill.length)
          .split(/\r?\n/)
          .at(-1)! + line
      await neovim.until('it in the buffer', ({ lines }) => lines.includes(filled))
      await expectWritten(neovim, path, each.filled)
    })

    test('what is typed along is not doubled', async () => {
      const each = caseNamed('end of a line')
      const path = await typed(neovim, each)
      const offered = ({ menu }: NeovimState) => menu.includes(wordOf(each) + each.fill)
      await neovim.until('the menu', offered)
      await neovim.keys(each.fill.slice(0, 3))
      await neovim.until('the menu', (state) => state.lines[1] === '    return width' && offered(state))
      await neovim.keys('<CR>')
      await neovim.until('it in the buffer', ({ lines }) => lines[1] === '    return width * height')
      await expectWritten(neovim, path, each.filled)
    })

    test('the ghost text comes when the menu closes and goes when it opens, and the key takes it', async () => {
      const path = await typed(neovim, twoServers)
      await neovim.until('the menu', ({ menu, ghost }) => menu.length > 0 && ghost === '')
      await neovim.keys('<C-e>')
      await neovim.until('ghost text', ({ menu, ghost }) => menu.length === 0 && ghost === twoServers.fill)
      await neovim.keys('<C-Space>')
      await neovim.until('the menu alone', ({ menu, ghost }) => menu.length > 0 && ghost === '')
      await neovim.keys('<C-e>')
      await neovim.until('ghost text', ({ menu, ghost }) => menu.length === 0 && ghost === twoServers.fill)
      await neovim.keys('<Tab>')
      await neovim.until('it in the buffer', ({ lines }) => lines.includes(`    return pai${twoServers.fill}`))
      await expectWritten(neovim, path, twoServers.filled)
    })
  })

  describe.skipIf(plugin.reason !== '')(`${plugin.name} with ours and the other server's${plugin.skipped}`, () => {
    let neovim: Neovim
    beforeAll(async () => {
      neovim = await startNeovim(program, plugin.lua + ours('menu = true') + other(), env)
    })
    afterAll(() => neovim?.close())

    const words = [...othersWords, wordOf(twoServers) + twoServers.fill]
    test.each(words)('both in the menu: %s is taken', async (word) => {
      const path = await typed(neovim, twoServers)
      const { menu } = await listed(neovim, words)
      await neovim.keys('<Down>'.repeat(menu.indexOf(word) + plugin.toTheFirst))
      await neovim.keys('<CR>')
      await neovim.until('it in the buffer', ({ lines }) => lines.includes(`    return ${word}`))
      await expectWritten(neovim, path, twoServers.text.replace('return pai', `return ${word}`))
    })

    test("with our engine stalled the other server's menu comes all the same", async () => {
      await stalled(env.LACUNA_STALL!, async () => {
        const path = await typed(neovim, twoServers)
        const { menu } = await soon(plugin.name, () =>
          neovim.until('the menu', ({ menu }) => [...menu].sort().join() === othersWords.join()),
        )
        await neovim.keys('<CR>')
        await neovim.until('it in the buffer', ({ lines }) => lines.includes(`    return ${menu[0]}`))
        await expectWritten(neovim, path, twoServers.text.replace('return pai', `return ${menu[0]}`))
      })
    })

    test('changed between request and answer: nothing typed is lost, the old answer is not taken', async () => {
      const each = caseNamed('end of a line')
      const path = await stalled(env.LACUNA_STALL!, async () => {
        const path = await typed(neovim, each)
        await sleep(400)
        await neovim.keys('re')
        return path
      })
      await sleep(800)
      expect((await neovim.state()).menu.filter((label) => label.includes(each.fill))).toEqual([])
      await expectWritten(neovim, path, each.text.replace('return wi', 'return wire'))
    })
  })
}

/** What is late comes at the next key. */
async function listed(neovim: Neovim, words: readonly string[]) {
  for (let tries = 0; ; tries++) {
    try {
      return await neovim.until('the menu', ({ menu }) => words.every((word) => menu.includes(word)), 3000)
    } catch (error) {
      if (tries === 5) throw error
      await neovim.keys('<BS>')
      await sleep(300)
      await neovim.keys('i')
      await sleep(300) // until then the menu is that of the text before
    }
  }
}
