"""A real Neovim, without a screen: what it shows, what it writes when that is taken, and whether the server has its text."""

import shutil
import time

import pytest

pytest.importorskip("pygls", reason="the [lsp] extra is not installed")
pynvim = pytest.importorskip("pynvim", reason="pynvim is not installed")
if shutil.which("nvim") is None:
    pytest.skip("Neovim is not installed (Debian: apt-get install neovim)", allow_module_level=True)

from lsp_session import HERE, command, environment

LUA = HERE.parent / "lsp" / "editors" / "neovim" / "lua"
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


@pytest.fixture
def nvim(tmp_path):
    editor = pynvim.attach("child", argv=["nvim", "--embed", "--headless", "-u", "NONE", "-i", "NONE", "-n"])
    try:
        editor.exec_lua("package.path = ... .. '/?.lua;' .. package.path", str(LUA))
        editor.exec_lua("vim.o.fileformats, vim.o.hidden = 'unix', true")
        env = {k: v for k, v in environment().items() if k == "PYTHONPATH"}
        editor.exec_lua("require('dgemma').setup(...)", {"cmd": command("prompt"), "cmd_env": env})
        file = tmp_path / "a.py"
        file.write_text("def f(a):\n    return a\n\n")
        editor.command("filetype on")
        editor.command(f"edit {file}")
        until(lambda: (asked(editor, "statistics") or {}).get("ready"))
        yield editor
    finally:
        editor.exec_lua("vim.lsp.stop_client(vim.lsp.get_active_clients(), true)")
        editor.close()


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


def ghost(editor):
    """The text that is shown behind the cursor."""
    marks = editor.exec_lua(
        "return vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace('dgemma'), 0, -1, { details = true })"
    )
    if not marks:
        return None
    details = marks[0][3]
    return "\n".join([details["virt_text"][0][0], *(line[0][0] for line in details.get("virt_lines", []))])


def test_open_type_see_accept_undo(nvim):
    nvim.input("Gix = ")
    until(lambda: ghost(nvim) == "suggested(1, 2)")
    nvim.input("sug")  # typed through
    until(lambda: ghost(nvim) == "gested(1, 2)")
    nvim.input("<Tab>")
    until(lambda: nvim.current.line == "x = suggested(1, 2)")
    assert ghost(nvim) is None and nvim.current.window.cursor[1] == len("x = suggested(1, 2)")
    assert asked(nvim, "text", uri(nvim)) == text(nvim)
    nvim.input("<Esc>u")
    until(lambda: nvim.current.line == "x = sug")
    until(lambda: asked(nvim, "text", uri(nvim)) == text(nvim))
    counts = asked(nvim, "statistics")["counts"]
    assert counts["asked"] >= 1 and counts["accepted"] == 1


def test_accept_by_word_and_by_line_of_several(nvim):
    nvim.input("Go    ")
    until(lambda: ghost(nvim) == "suggested(1, 2)\n    and_more()")
    nvim.input("<M-Right>")
    until(lambda: nvim.current.line == "    suggested")
    assert ghost(nvim) == "(1, 2)\n    and_more()"
    nvim.input("<M-Down>")
    until(lambda: nvim.current.line == "    suggested(1, 2)")
    nvim.input("<M-Down>")
    until(lambda: nvim.current.line == "    and_more()")
    assert nvim.current.buffer[-2] == "    suggested(1, 2)"


def test_typing_something_else_takes_the_suggestion_away(nvim):
    nvim.input("Gix = ")
    until(lambda: ghost(nvim) == "suggested(1, 2)")
    nvim.input("q")
    until(lambda: ghost(nvim) != "suggested(1, 2)" or nvim.current.line == "x = q")
    nvim.input("<Esc>")
    until(lambda: ghost(nvim) is None)
    nvim.input("A<Tab>")  # nothing is shown: it is a tab
    until(lambda: nvim.current.line in ("x = q\t", "x = qsuggested(1, 2)"))


def test_commands_write_into_the_buffer(nvim):
    nvim.current.buffer[:] = ["a = TODO", "b = 2"]
    nvim.command("DgemmaFillTodos")
    until(lambda: nvim.current.buffer[:] == ["a = filled", "    and_more()", "b = 2"])
    nvim.command("3DgemmaFill")
    until(lambda: nvim.current.buffer[:] == ["a = filled", "    and_more()", "filled", "    and_more()"])


@pytest.mark.parametrize("seed", [1, 2])
def test_the_server_has_the_buffers_text_after_a_thousand_random_edits(nvim, seed):
    nvim.exec_lua(EDITS, seed, 1000)
    assert len(nvim.current.buffer) > 1
    assert asked(nvim, "text", uri(nvim)) == text(nvim)


def uri(editor):
    return editor.exec_lua("return vim.uri_from_bufnr(0)")


def text(editor):
    return "\n".join(editor.current.buffer[:]) + "\n"
