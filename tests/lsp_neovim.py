"""A Neovim under test: what is asked of it and of its server, and the tests of old and new ones alike."""

import time

import pytest
from lsp_session import command, environment

EDITS = """
local seed, count = ...
math.randomseed(seed)
local pieces = { 'a', 'b ', '\\f', '\\v', '\\226\\128\\168', '\\194\\133', '\\28', 'ä', 'ß€', '𝄞', '👩‍👧', 'é', '한', '' }
local function starts(line)  -- where a character begins, and the end
  local at = { #line }
  for i = 1, #line do
    local b = line:byte(i)
    if b < 128 or b >= 192 then at[#at + 1] = i - 1 end
  end
  return at
end
for _ = 1, count do
  local rows = vim.api.nvim_buf_line_count(0)
  local a = math.random(rows)
  local b = math.min(rows, a + math.random(0, 1))
  local from = vim.api.nvim_buf_get_lines(0, a - 1, a, false)[1]
  local to = vim.api.nvim_buf_get_lines(0, b - 1, b, false)[1]
  local x, y = starts(from), starts(to)
  x, y = x[math.random(#x)], y[math.random(#y)]
  if a == b and x > y then x, y = y, x end
  local new = {}
  for i = 1, math.random(rows > 20 and 1 or 3) do
    new[i] = pieces[math.random(#pieces)] .. pieces[math.random(#pieces)]
  end
  vim.api.nvim_buf_set_text(0, a - 1, x, b - 1, y, new)
  if math.random() < 0.05 then vim.cmd('silent! undo') end
end
"""


def settings():
    """What a test gives `setup`: the server with an engine of the tests."""
    return {"cmd": command("prompt"), "cmd_env": {"PYTHONPATH": environment()["PYTHONPATH"]}}


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def asked(editor, name, *arguments):
    """The server's answer to a command."""
    ask = "local n, a = ...; answer = nil; require('dgemma').run(n, a, function(_, r) answer = { r } end)"
    editor.exec_lua(ask, name, list(arguments))
    until(lambda: editor.exec_lua("return answer ~= nil"))
    return editor.exec_lua("return answer[1]")


def ghost(editor, namespace="dgemma"):
    """The text that is shown behind the cursor."""
    marks = editor.exec_lua(
        "return vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace(...), 0, -1, { details = true })",
        namespace,
    )
    if not marks:
        return None
    details = marks[0][3]
    return "\n".join([details["virt_text"][0][0], *(line[0][0] for line in details.get("virt_lines", []))])


def in_step(editor):
    """Whether the server has the buffer's text."""
    text = "\n".join(editor.current.buffer[:]) + "\n"
    return asked(editor, "text", editor.exec_lua("return vim.uri_from_bufnr(0)")) == text


def test_commands_write_into_the_buffer(nvim):
    nvim.current.buffer[:] = ["a = TODO", "b = 2"]
    nvim.command("DgemmaFillTodos")
    until(lambda: nvim.current.buffer[:] == ["a = filled", "    and_more()", "b = 2"])
    nvim.command("3DgemmaFill")
    until(lambda: nvim.current.buffer[:] == ["a = filled", "    and_more()", "filled", "    and_more()"])


@pytest.mark.slow
def test_the_server_has_the_buffers_text_after_two_thousand_random_edits(nvim):
    for seed in range(4):
        nvim.exec_lua(EDITS, seed, 500)
        assert len(nvim.current.buffer) > 1
        assert in_step(nvim)
