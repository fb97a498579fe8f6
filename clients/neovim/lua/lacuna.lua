-- Lacuna for Neovim: how the server is started, ghost text in the buffers it is attached to, and a key that takes it.
-- All else is Neovim's own client. Nothing here knows what a completion is about.
local M = {}

---@class lacuna.Options
---@field cmd? string[] how the server is started; default: `lacuna --stdio`, else the server this file came with
---@field filetypes? string[] where it is attached
---@field key? string|false takes the ghost text in insert mode; does what it did before when there is none
---@field keys? table<string, string|false> keys for `word`, `line`, `next`, `previous`; none by default
---@field menu? boolean offer completions in the menu too, which then opens by itself, ghost text behind it (default where that is missing)
---@field settings? table the server's settings, without the word `lacuna` before them

local ghost_text = vim.lsp.inline_completion ~= nil -- Neovim 0.12 and later
local shown = vim.api.nvim_create_namespace('nvim.lsp.inline_completion') -- an existing name gives its id

---@type lacuna.Options
local options = {
  filetypes = {
    'bash', 'c', 'cpp', 'cs', 'css', 'dart', 'elixir', 'go', 'haskell', 'html', 'java', 'javascript', 'javascriptreact',
    'json', 'kotlin', 'lua', 'make', 'perl', 'php', 'python', 'r', 'ruby', 'rust', 'scala', 'sh', 'sql', 'swift', 'toml',
    'typescript', 'typescriptreact', 'vim', 'yaml', 'zig',
  },
  key = '<Tab>',
  keys = {},
  menu = not ghost_text,
  settings = {},
}

--- `lacuna` where it is installed, else the built server in the checkout or package that holds this file.
local function command()
  local here = vim.uv.fs_realpath(debug.getinfo(1, 'S').source:sub(2))
  local main = here and vim.fn.fnamemodify(here, ':h:h:h:h') .. '/dist/main.js'
  if vim.fn.executable('lacuna') == 0 and main and vim.uv.fs_stat(main) then return { 'node', main, '--stdio' } end
  return { 'lacuna', '--stdio' }
end

--- As the server last told it: { busy, kind, message }; `kind` is Normal, Warning, Error or Inactive.
local told

--- For a statusline: empty while there is nothing to tell.
---@return string
function M.status()
  if not told or (told.kind == 'Normal' and not told.busy) then return '' end
  local marks = { Normal = '…', Warning = '?', Error = '!', Inactive = '-' }
  return 'Lacuna' .. (marks[told.kind] or '') .. (told.message ~= '' and ' ' .. told.message or '')
end

--- What vim.lsp.config wants. No root: the server needs none, and one process then serves every buffer.
function M.config()
  return {
    cmd = options.cmd or command(),
    filetypes = options.filetypes,
    capabilities = { experimental = { didChangeStatus = true } },
    handlers = {
      didChangeStatus = function(_, status)
        told = status
        vim.cmd.redrawstatus({ bang = true })
      end,
    },
    on_exit = function() told = nil end,
    init_options = {
      lacuna = vim.tbl_extend('force', {
        completion = options.menu,
        -- Neovim asks once when typing rests and not again, waits without blocking, and drops what came too late; so
        -- the whole line a little later is worth more than half of it in time.
        inlineBudgetMs = 5000,
      }, options.settings),
    },
  }
end

--- Not needed for the defaults: vim.lsp.enable('lacuna') is enough.
---@param given? lacuna.Options
function M.setup(given)
  options = vim.tbl_extend('force', options, given or {})
  vim.lsp.config('lacuna', {}) -- resolved anew; what the user said there wins
  vim.lsp.enable('lacuna')
end

--- Has Neovim ask, as when insert mode is entered: it does not when a server is attached later than that, nor after an
--- item was refused. The group is its own, so that nobody else hears of it.
local function ask(buf)
  if buf ~= vim.api.nvim_get_current_buf() or not vim.startswith(vim.api.nvim_get_mode().mode, 'i') then return end
  pcall(vim.api.nvim_exec_autocmds, 'InsertEnter', { buffer = buf, group = 'nvim.lsp.inline_completion:' .. buf })
end

--- Fits an item of ours to what was typed since it was asked for: Neovim would put it where it belonged then. Our ranges
--- start at the cursor, so what stands between there and the cursor now was typed, or the item is stale.
---@return table? item nil when it is stale
---@return string? typed what of its text stands in the buffer already; nil for items of others
local function fitted(item)
  local client = vim.lsp.get_client_by_id(item.client_id)
  if not client or client.name ~= 'lacuna' or not item.range or type(item.insert_text) ~= 'string' then return item end
  local buf = vim.api.nvim_get_current_buf()
  local first_row, first, last_row, last = item.range:to_extmark()
  local row, column = unpack(vim.api.nvim_win_get_cursor(0))
  row = row - 1
  local typed = vim.api.nvim_get_current_line():sub(first + 1, column)
  if first_row ~= row or last_row ~= row or column < first or not vim.startswith(item.insert_text, typed) then
    ask(buf)
    return nil
  end
  item.range = vim.range.extmark(buf, row, first, row, last + #typed)
  return item, typed
end

--- Takes as much of the ghost text as `pattern` matches of what is not typed yet, and has the rest shown again.
local function accept_part(pattern)
  local cut = false
  local taken = ghost_text and vim.lsp.inline_completion.get({ on_accept = function(given)
    local item, typed = fitted(given)
    if not item or not typed then return item end
    local rest = item.insert_text:sub(#typed + 1)
    local part = rest:match(pattern) or rest
    if part == '' or part == rest then return item end
    local row, first = item.range:to_extmark()
    item.insert_text = typed .. part
    -- What the whole replaces stands after the part.
    item.range = vim.range.extmark(vim.api.nvim_get_current_buf(), row, first, row, first + #typed)
    cut = true
    return item
  end })
  local buf = vim.api.nvim_get_current_buf()
  if taken then vim.schedule(function() if cut then ask(buf) end end) end
  return taken
end

--- Takes the ghost text; for a mapping of your own.
---@return boolean false when there is none
function M.accept()
  return ghost_text and vim.lsp.inline_completion.get({ on_accept = fitted })
end

--- The same for its first word.
---@return boolean
function M.accept_word() return accept_part('^[^%w_\128-\255]*[%w_\128-\255]*') end

--- The same for its first line that is not empty.
---@return boolean
function M.accept_line() return accept_part('^\n*[^\n]*') end

--- By buffer: how many candidates there are, how far to step on once they have come, and what takes all of them away.
local candidates, step, forget = {}, {}, {}

--- The menus that are open, by name.
local menus = {}

--- With our completions in the menu there is no ghost text while one is open: the same text would be shown twice.
local function opened(name)
  if menus[name] then return end
  menus[name] = true
  local take_away = forget[vim.api.nvim_get_current_buf()]
  if options.menu and take_away then take_away() end
end

local function closed(name)
  if not menus[name] then return end
  menus[name] = nil
  if options.menu then ask(vim.api.nvim_get_current_buf()) end
end

--- Hears of Neovim's own menu and blink.cmp's; and of nvim-cmp's, once that is there.
local function hear()
  local group = vim.api.nvim_create_augroup('lacuna.menus', {})
  for name, events in pairs({ own = { 'CompleteChanged', 'CompleteDone' }, blink = { 'BlinkCmpMenuOpen', 'BlinkCmpMenuClose' } }) do
    for i, event in ipairs(events) do
      local user = name == 'blink'
      vim.api.nvim_create_autocmd(user and 'User' or event, {
        group = group,
        pattern = user and event or nil,
        callback = function() (i == 1 and opened or closed)(name) end,
      })
    end
  end
end

local hears_cmp = false
local function hear_cmp()
  local cmp = package.loaded['cmp']
  if hears_cmp or type(cmp) ~= 'table' or not cmp.event then return end
  hears_cmp = true
  cmp.event:on('menu_opened', function() opened('cmp') end)
  cmp.event:on('menu_closed', function() closed('cmp') end)
  if cmp.core.view:visible() then opened('cmp') end
end

--- Neovim asks as "automatic", which gets one candidate. Before a step the question is made one asked by hand.
local function watch(client)
  if client.lacuna_watched then return end
  client.lacuna_watched = true
  hear()
  local request = client.request
  client.request = function(self, method, params, handler, buf)
    if method ~= 'textDocument/inlineCompletion' or not handler or not buf then
      return request(self, method, params, handler, buf)
    end
    local none = { items = {} }
    hear_cmp()
    forget[buf] = function() handler(nil, none, { client_id = client.id, bufnr = buf, method = method }) end
    local count = step[buf]
    step[buf] = nil
    if count then params.context.triggerKind = vim.lsp.protocol.InlineCompletionTriggerKind.Invoked end
    return request(self, method, params, function(err, result, context)
      if options.menu and next(menus) then result = result and none end
      if result and not err then candidates[buf] = #(result.items or result) end
      handler(err, result, context)
      if count and not err and candidates[buf] > 1 then vim.lsp.inline_completion.select({ bufnr = buf, count = count }) end
    end, buf)
  end
end

--- Shows the candidate `count` further on.
---@param count integer
---@return boolean false when there is no ghost text
function M.cycle(count)
  local buf = vim.api.nvim_get_current_buf()
  if not ghost_text or #vim.api.nvim_buf_get_extmarks(buf, shown, 0, -1, { limit = 1 }) == 0 then return false end
  vim.schedule(function()
    if (candidates[buf] or 0) > 1 then return vim.lsp.inline_completion.select({ bufnr = buf, count = count }) end
    step[buf] = count
    ask(buf)
  end)
  return true
end

local actions = {
  word = { 'Take a word of the ghost text', M.accept_word },
  line = { 'Take a line of the ghost text', M.accept_line },
  next = { 'Next ghost text', function() return M.cycle(1) end },
  previous = { 'Previous ghost text', function() return M.cycle(-1) end },
}

--- In this buffer, over whatever the key did there, which it still does when there is no ghost text.
local function map(key, buf, description, take)
  -- The server may attach to a buffer that is not the current one.
  local before = vim.api.nvim_buf_call(buf, function() return vim.fn.maparg(key, 'i', false, true) end)
  if before.desc == description then return end
  vim.keymap.set('i', key, function()
    if take() then return '<C-g>u' end -- taken after this; can be undone without what was typed
    if not before.lhs then return key end
    if not before.callback then return before.expr == 1 and vim.api.nvim_eval(before.rhs) or before.rhs end
    if before.expr == 1 then return before.callback() or '' end
    vim.schedule(before.callback)
    return ''
  end, { buffer = buf, expr = true, remap = before.noremap == 0, desc = description })
end

vim.api.nvim_create_autocmd('LspAttach', {
  group = vim.api.nvim_create_augroup('lacuna', {}),
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if not client or client.name ~= 'lacuna' then return end
    if ghost_text then
      watch(client)
      vim.lsp.inline_completion.enable(true, { bufnr = event.buf })
      ask(event.buf)
      if options.key then map(options.key, event.buf, 'Take the ghost text', M.accept) end
      for name, key in pairs(options.keys) do
        if key then map(key, event.buf, unpack(actions[name])) end
      end
    end
    if options.menu then vim.lsp.completion.enable(true, client.id, event.buf, { autotrigger = true }) end
  end,
})

return M
