-- dgemma-lsp in Neovim. From 0.12 on its own inline completion shows what the server suggests; before (0.7 to 0.11) this file does,
-- as ghost text: it asks when the text changes, shows what comes behind the cursor, and knows what has been typed of it since.
local M = {}

local ns = vim.api.nvim_create_namespace('dgemma')
local INLINE = 'textDocument/inlineCompletion'
local client_id, pending, shown -- shown: { buf, row, col, text }, where the text begins

M.defaults = {
  cmd = { 'dgemma-lsp' },
  filetypes = { 'python', 'javascript', 'typescript', 'json', 'go', 'rust', 'java', 'c', 'cpp', 'sh', 'html', 'css', 'lark' },
  settings = {},
  auto = true, -- ask while typing
  keys = { accept = '<Tab>', word = '<M-Right>', line = '<M-Down>', ask = '<M-Bslash>', dismiss = '<M-BS>' },
}

local function native()
  return vim.lsp.inline_completion ~= nil
end

local function client()
  if native() then return vim.lsp.get_clients({ name = 'dgemma', bufnr = 0 })[1] end
  return client_id and vim.lsp.get_client_by_id(client_id)
end

-- A client's method: until 0.10 they were functions that know their client.
local function call(c, method, ...)
  if vim.fn.has('nvim-0.11') == 1 then return c[method](c, ...) end
  return c[method](...)
end

-- What of the suggestion is still to come, given what stands between its beginning and the cursor; nil if that is something else.
local function rest()
  if not shown or shown.buf ~= vim.api.nvim_get_current_buf() then return nil end
  local at = vim.api.nvim_win_get_cursor(0)
  local row, col = at[1] - 1, at[2]
  if row < shown.row or (row == shown.row and col < shown.col) then return nil end
  local ok, lines = pcall(vim.api.nvim_buf_get_text, shown.buf, shown.row, shown.col, row, col, {})
  local typed = ok and table.concat(lines, '\n')
  if not typed or #typed >= #shown.text or shown.text:sub(1, #typed) ~= typed then return nil end
  return shown.text:sub(#typed + 1), row, col
end

local function clear()
  if shown and vim.api.nvim_buf_is_valid(shown.buf) then vim.api.nvim_buf_clear_namespace(shown.buf, ns, 0, -1) end
end

local function draw()
  clear()
  local text, row, col = rest()
  if not text then
    shown = nil
    return false
  end
  local lines = vim.split(text, '\n')
  local line = vim.api.nvim_buf_get_lines(shown.buf, row, row + 1, false)[1]
  local below = {}
  for i = 2, #lines do below[#below + 1] = { { lines[i], 'Comment' } } end
  vim.api.nvim_buf_set_extmark(shown.buf, ns, row, col, {
    virt_text = { { lines[1], 'Comment' } },
    virt_text_pos = col == #line and 'overlay' or 'eol', -- before 0.10 nothing can stand inside a line
    virt_lines = #below > 0 and below or nil,
  })
  return true
end

local function byte(line, position, encoding)
  if encoding == 'utf-8' then return math.min(position.character, #line) end
  local ok, at = pcall(vim.str_byteindex, line, position.character, encoding == 'utf-16')
  return ok and at or #line
end

-- Ask for a suggestion here: by hand (the server doesn't wait for more typing), or not.
function M.ask(by_hand)
  local c, buf = client(), vim.api.nvim_get_current_buf()
  if not c or not vim.lsp.buf_is_attached(buf, c.id) then return end
  if pending then call(c, 'cancel_request', pending) end
  local params = vim.lsp.util.make_position_params(0, c.offset_encoding)
  params.context = { triggerKind = by_hand and 1 or 2 }
  local tick = vim.api.nvim_buf_get_changedtick(buf)
  local ok
  ok, pending = call(c, 'request', INLINE, params, function(err, result)
    pending = nil
    if err or not vim.api.nvim_buf_is_valid(buf) or tick ~= vim.api.nvim_buf_get_changedtick(buf) then return end
    local item = result and result.items and result.items[1]
    if not item then return end
    local start = item.range and item.range.start or params.position
    local line = vim.api.nvim_buf_get_lines(buf, start.line, start.line + 1, false)[1] or ''
    clear()
    shown = { buf = buf, row = start.line, col = byte(line, start, c.offset_encoding), text = item.insertText }
    draw()
  end, buf)
end

function M.dismiss()
  clear()
  shown = nil
end

-- As much of a text as `part` says: 'word', 'line', or all.
local function first(text, part)
  if part == 'word' then return text:match('^%s*[%w_]+') or text:match('^%s*.[\128-\191]*') end
  if part == 'line' then return text:match('^\n?[^\n]*') end
  return text
end

local function write(text, row, col)
  vim.o.undolevels = vim.o.undolevels -- one undo takes back this and no more
  local lines = vim.split(text, '\n')
  vim.api.nvim_buf_set_text(0, row, col, row, col, lines)
  vim.api.nvim_win_set_cursor(0, { row + #lines, (#lines == 1 and col or 0) + #lines[#lines] })
end

-- Take the suggestion, or as much of it as `part` says: 'word', 'line', or all. False if there is none.
function M.accept(part)
  local text, row, col = rest()
  if not text then return false end
  text = first(text, part)
  write(text, row, col)
  if not draw() then M.run('accepted', { vim.uri_from_bufnr(0) }) end
  return true
end

-- One of the server's commands; the answer goes to `on_answer`, or is shown.
function M.run(name, arguments, on_answer)
  local c = client()
  if not c then return end
  local params = { command = 'dgemma.' .. name, arguments = arguments or {} }
  call(c, 'request', 'workspace/executeCommand', params, function(err, result)
    if on_answer then
      on_answer(err, result)
    elseif err then
      vim.notify('dgemma: ' .. err.message, vim.log.levels.ERROR)
    elseif name == 'statistics' then
      print(vim.inspect(result))
    end
  end, vim.api.nvim_get_current_buf())
end

local function range_of_lines(first_line, last_line)
  local line = vim.api.nvim_buf_get_lines(0, last_line - 1, last_line, false)[1]
  -- bytes: in no encoding is the line longer, and what lies past its end means the end
  return { start = { line = first_line - 1, character = 0 }, ['end'] = { line = last_line - 1, character = #line } }
end

local function commands()
  local function define(name, run, options) vim.api.nvim_create_user_command(name, run, options or {}) end
  local function uri() return vim.uri_from_bufnr(0) end
  define('DgemmaComplete', function()
    M.run('complete', { uri(), vim.lsp.util.make_position_params(0, client().offset_encoding).position })
  end)
  define('DgemmaFill', function(o) M.run('fillSelection', { uri(), range_of_lines(o.line1, o.line2) }) end, { range = true })
  define('DgemmaFillTodos', function() M.run('fillTodos', { uri() }) end)
  define('DgemmaJson', function() M.run('generateJson', { uri() }) end)
  define('DgemmaModel', function(o) M.run('switchModel', { o.args }) end, { nargs = 1 })
  define('DgemmaStatistics', function() M.run('statistics') end)
end

local function keys(given)
  local function map(key, what)
    if key and key ~= '' then vim.keymap.set('i', key, what, { expr = true, replace_keycodes = true, silent = true }) end
  end
  local function run(lua) return '<Cmd>lua require("dgemma").' .. lua .. '<CR>' end
  map(given.accept, function() return rest() and run('accept()') or given.accept end)
  map(given.word, function() return rest() and run('accept("word")') or given.word end)
  map(given.line, function() return rest() and run('accept("line")') or given.line end)
  map(given.ask, function() return run('ask(true)') end)
  map(given.dismiss, function() return run('dismiss()') end)
end

function M.start(options)
  local buf = vim.api.nvim_get_current_buf()
  if not client() then
    local capabilities = vim.lsp.protocol.make_client_capabilities()
    capabilities.textDocument.inlineCompletion = { dynamicRegistration = false }
    client_id = vim.lsp.start_client({
      name = 'dgemma',
      cmd = options.cmd,
      cmd_env = options.cmd_env,
      root_dir = vim.fn.getcwd(),
      capabilities = capabilities,
      init_options = options.settings,
      settings = { dgemma = options.settings },
      flags = { debounce_text_changes = 20 },
    })
  end
  vim.lsp.buf_attach_client(buf, client_id)
end

-- Takes all of Neovim's own suggestion, or a part; what has been typed of it since it came is not written again.
local function taking(part)
  return function(item)
    local row, col = item.range:to_extmark()
    local at = vim.api.nvim_win_get_cursor(0)
    local ok, lines = pcall(vim.api.nvim_buf_get_text, 0, row, col, at[1] - 1, at[2], {})
    local typed = ok and table.concat(lines, '\n')
    if not typed or item.insert_text:sub(1, #typed) ~= typed then return end
    local rest = item.insert_text:sub(#typed + 1)
    local text = first(rest, part)
    write(text, at[1] - 1, at[2])
    if text == rest then M.run('accepted', { vim.uri_from_bufnr(0) }) end
  end
end

function M.setup(options)
  options = vim.tbl_deep_extend('force', M.defaults, options or {})
  commands()
  if vim.fn.executable(options.cmd[1]) == 0 then
    vim.notify('dgemma: ' .. options.cmd[1] .. ' is not executable; set cmd', vim.log.levels.ERROR)
  end
  if native() then
    vim.lsp.config('dgemma', {
      cmd = options.cmd,
      cmd_env = options.cmd_env,
      filetypes = options.filetypes,
      init_options = options.settings,
      settings = { dgemma = options.settings },
    })
    vim.lsp.enable('dgemma')
    vim.lsp.inline_completion.enable(options.auto)
    for _, part in ipairs({ 'accept', 'word', 'line' }) do
      local key = options.keys[part]
      if key and key ~= '' then
        vim.keymap.set('i', key, function()
          if not vim.lsp.inline_completion.get({ on_accept = taking(part) }) then return key end
        end, { expr = true, replace_keycodes = true })
      end
    end
    return
  end
  keys(options.keys)
  local group = vim.api.nvim_create_augroup('dgemma', { clear = true })
  local function on(events, run, pattern)
    vim.api.nvim_create_autocmd(events, { group = group, pattern = pattern, callback = run })
  end
  on('FileType', function() M.start(options) end, options.filetypes)
  on({ 'TextChangedI', 'CursorMovedI' }, function(event)
    if not draw() and options.auto and event.event == 'TextChangedI' then M.ask(false) end
  end)
  on({ 'InsertLeave', 'BufLeave' }, M.dismiss)
end

return M
