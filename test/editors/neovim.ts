/**
 * A real Neovim, driven over its socket: headless, with the client from clients/neovim as a user would set it up, and
 * homes of its own, so that nothing of the user's is read or written.
 *
 * Everything in an editor happens some time after it was asked for, so nothing here is asserted once: `until` waits for
 * a state, and says what it saw when it does not come.
 */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import type { Case } from './cases.ts'

const run = promisify(execFile)

/** The program to test with, or why there is none. */
export function findNeovim(): Found {
  const program = process.env.LACUNA_NVIM ?? 'nvim'
  const { stdout, error } = spawnSync(program, ['--version'], { encoding: 'utf8' })
  if (error) return { reason: `no ${program}; LACUNA_NVIM can name one` }
  const [, major, minor] = /^NVIM v(\d+)\.(\d+)/.exec(stdout) ?? []
  if (major === undefined) return { reason: `${program} does not say its version` }
  if (Number(major) === 0 && Number(minor) < 12) {
    return { reason: `${program} is ${major}.${minor}, ghost text needs 0.12; LACUNA_NVIM can name another` }
  }
  return { program }
}

/** Neovim 0.11, whose client has completion in the menu and no ghost text. */
export function findNeovim011(): Found {
  const program = process.env.LACUNA_NVIM_011
  if (!program) return { reason: 'LACUNA_NVIM_011 names none' }
  const { stdout, error } = spawnSync(program, ['--version'], { encoding: 'utf8' })
  return error || !stdout.startsWith('NVIM v0.11.') ? { reason: `${program} is no Neovim 0.11` } : { program }
}

type Found = { readonly program: string } | { readonly reason: string }

export interface NeovimState {
  readonly lines: readonly string[]
  /** 1-based line, 0-based byte: as Neovim counts. */
  readonly cursor: readonly [number, number]
  readonly mode: string
  /** What is shown after the cursor and is not in the buffer; lines joined by LF. Empty when there is none. */
  readonly ghost: string
  readonly attached: boolean
  /** Words of the menu, when it is open. */
  readonly menu: readonly string[]
  /** Of ghost text, sent and not answered. */
  readonly waiting: boolean
  /** For the statusline. */
  readonly status: string
}

export interface Neovim {
  readonly folder: string
  state(): Promise<NeovimState>
  /** In Neovim's notation: `<Esc>`, `<lt>`. Returns before they have had their effect. */
  keys(keys: string): Promise<void>
  /** @returns the first state that `wanted` accepts. @throws {Error} with the last one after `withinMs`. */
  until(what: string, wanted: (state: NeovimState) => boolean, withinMs?: number): Promise<NeovimState>
  /** The ghost text that is shown once the server has answered everything. */
  ghost(wanted?: (state: NeovimState) => boolean): Promise<string>
  /** Writes `bytes` to a file and edits that, the cursor on the byte `at` (1-based line, 0-based byte), in normal mode. */
  edit(name: string, bytes: string, at: readonly [number, number]): Promise<string>
  close(): Promise<void>
}

/**
 * @param setup Lua that is run in place of the set-up over the embedded model.
 * @param more environment.
 */
export async function startNeovim(
  program: string,
  setup: string = embedded(),
  more: Readonly<Record<string, string>> = {},
): Promise<Neovim> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'lacuna-nvim-')))
  const socket = join(folder, 'socket')
  await writeFile(join(folder, 'init.lua'), config(setup))
  const home = (kind: string) => ({ [`XDG_${kind}_HOME`]: join(folder, kind.toLowerCase()) })
  const { VIM: _, NVIM: __, VIMINIT: ___, ...outer } = process.env
  const log = { NVIM_LOG_FILE: join(folder, 'nvim.log') } // else it may come to lie where the tests are run
  const env = { ...outer, ...home('CONFIG'), ...home('DATA'), ...home('STATE'), ...home('CACHE'), ...log, ...more }
  const args = ['--headless', '-u', join(folder, 'init.lua'), '-n', '-i', 'NONE', '--listen', socket]
  const child = spawn(program, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  child.stdout.on('data', (chunk) => (printed += chunk))
  child.stderr.on('data', (chunk) => (printed += chunk))
  const exit = new Promise<void>((done) => child.on('close', () => done()))

  const remote = async (...what: string[]) => {
    // A blocked editor (a question on its command line) never answers, hence the limit.
    const { stdout, stderr } = await run(program, ['--server', socket, ...what], { env, timeout: 30_000 })
    if (stderr !== '') throw new Error(`Neovim: ${stderr}`)
    return stdout
  }
  const lua = (code: string) => remote('--remote-expr', `luaeval('${code.replaceAll("'", "''")}')`)

  const neovim: Neovim = {
    folder,
    state: async () => {
      const state = JSON.parse(await lua('State()')) as NeovimState
      return { ...state, menu: Object.values(state.menu) } // Lua's empty table
    },
    keys: async (keys) => void (await remote('--remote-send', keys)),
    async until(what, wanted, withinMs = 20_000) {
      const deadline = Date.now() + withinMs
      for (;;) {
        const state = await neovim.state()
        if (wanted(state)) return state
        if (Date.now() > deadline) {
          throw new Error(`waited ${withinMs} ms for ${what}; at last: ${JSON.stringify(state)}\n${printed}`)
        }
        await sleep(30)
      }
    },
    async ghost(wanted = () => true) {
      const shown = (state: NeovimState) => state.ghost !== '' && !state.waiting && wanted(state)
      return (await neovim.until('ghost text', shown)).ghost
    },
    async edit(name, bytes, [line, byte]) {
      const path = join(folder, name)
      await writeFile(path, bytes)
      await neovim.keys('<C-\\><C-n>')
      await neovim.until('normal mode', ({ mode }) => mode === 'n')
      await lua(`Edit('${path}', ${line}, ${byte})`)
      return path
    },
    async close() {
      await remote('--remote-send', '<C-\\><C-n>:qa!<CR>').catch(() => child.kill('SIGKILL'))
      await exit
      await rm(folder, { recursive: true, force: true })
    },
  }
  const deadline = Date.now() + 20_000
  for (;;) {
    try {
      await neovim.state()
      return neovim
    } catch (error) {
      if (Date.now() < deadline && child.exitCode === null) await sleep(50)
      else throw new Error(`Neovim did not start: ${printed}`, { cause: error })
    }
  }
}

/** Types the last character before the mark. */
export async function typed(neovim: Neovim, { file, text, cursor }: Case): Promise<string> {
  const before = text.slice(0, cursor - 1)
  const lines = before.split('\n')
  const byte = Buffer.byteLength(lines.at(-1)!)
  const path = await neovim.edit(`${Date.now()}-${file}`, before + text.slice(cursor), [lines.length, byte])
  await neovim.until('the server in that buffer', ({ attached }) => attached)
  const { cursor: at } = await neovim.state()
  // At the end of a line the cursor is on the last character.
  await neovim.keys(at[1] === byte ? 'i' : 'a')
  await neovim.until('insert mode at the mark', ({ mode, cursor: [, at] }) => mode === 'i' && at === byte)
  await neovim.keys(text[cursor - 1]!)
  return path
}

export async function expectWritten(neovim: Neovim, path: string, text: string): Promise<void> {
  await sleep(150) // what is taken is put in after the key
  await neovim.keys('<C-\\><C-n>:write<CR>')
  await expect.poll(() => readFile(path, 'utf8'), { timeout: 5000 }).toBe(text)
}

/** @param settings more of them, as Lua has them. */
export function embedded(settings = ''): string {
  return `
require('lacuna').setup({
  cmd = { ${JSON.stringify(process.execPath)}, ${JSON.stringify(resolve('dist/main.js'))}, '--stdio' },
  -- Whether the model is sure is no question of the editor; what other tests left unfinished would end lines here.
  settings = { showAbove = 0, nearby = false, ${settings} },
})`
}

/** A user's, plus two functions for us to call. */
function config(setup: string): string {
  return `
vim.opt.runtimepath:append(${JSON.stringify(resolve('clients/neovim'))})
${setup}
vim.g.loaded_python3_provider = 0 -- looking for one takes seconds
vim.o.more = false
vim.o.fixeol = false -- else it ends the last line on writing

function Edit(path, line, byte)
  vim.cmd('edit ' .. vim.fn.fnameescape(path))
  vim.api.nvim_win_set_cursor(0, { line, byte })
  return ''
end

local waiting = {}
vim.api.nvim_create_autocmd('LspRequest', { callback = function(event)
  local request = event.data.request
  if request.method ~= 'textDocument/inlineCompletion' then return end
  waiting[event.data.request_id] = request.type == 'pending' or nil
end })

-- Of Neovim's own menu, nvim-cmp's or blink.cmp's.
local function menu_words()
  local cmp, blink = package.loaded['cmp'], package.loaded['blink.cmp']
  if cmp and cmp.core.view:visible() then
    return vim.tbl_map(function(entry) return entry.completion_item.label end, cmp.core.view:get_entries())
  end
  if blink and blink.is_menu_visible() then
    return vim.tbl_map(function(item) return item.label end, blink.get_items())
  end
  local items = vim.fn.complete_info({ 'items' }).items
  return vim.tbl_map(function(item) return item.abbr ~= '' and item.abbr or item.word end, items)
end

local namespace = vim.api.nvim_create_namespace('nvim.lsp.inline_completion') -- an existing name gives its id
function State()
  local shown = {}
  for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })) do
    for _, line in ipairs(vim.list_extend({ mark[4].virt_text or {} }, mark[4].virt_lines or {})) do
      table.insert(shown, vim.iter(line):map(function(chunk) return chunk[1] end):join(''))
    end
  end
  local state = {
    lines = vim.api.nvim_buf_get_lines(0, 0, -1, true),
    cursor = vim.api.nvim_win_get_cursor(0),
    mode = vim.api.nvim_get_mode().mode,
    ghost = table.concat(shown, '\\n'),
    attached = #vim.lsp.get_clients({ bufnr = 0, name = 'lacuna' }) > 0,
    waiting = next(waiting) ~= nil,
    status = require('lacuna').status(),
    menu = menu_words(),
  }
  if #state.menu == 0 then state.menu = vim.empty_dict() end
  return vim.json.encode(state)
end
`
}
