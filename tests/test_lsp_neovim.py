"""A real Neovim, without a screen: what it shows, what it writes when that is taken, and whether the server has its text."""

import shutil

import pytest

pytest.importorskip("pygls", reason="the [lsp] extra is not installed")
pynvim = pytest.importorskip("pynvim", reason="pynvim is not installed")
if shutil.which("nvim") is None:
    pytest.skip("Neovim is not installed (Debian: apt-get install neovim)", allow_module_level=True)

from lsp_neovim import (
    asked,
    ghost,
    in_step,
    settings,
    until,
    test_commands_write_into_the_buffer,  # noqa: F401
    test_the_server_has_the_buffers_text_after_two_thousand_random_edits,  # noqa: F401
)
from lsp_session import HERE

LUA = HERE.parent / "lsp" / "editors" / "neovim" / "lua"


@pytest.fixture
def nvim(tmp_path):
    editor = pynvim.attach("child", argv=["nvim", "--embed", "--headless", "-u", "NONE", "-i", "NONE", "-n"])
    try:
        editor.exec_lua("package.path = ... .. '/?.lua;' .. package.path", str(LUA))
        editor.exec_lua("vim.o.fileformats, vim.o.hidden = 'unix', true")
        editor.exec_lua("require('dgemma').setup(...)", settings())
        file = tmp_path / "a.py"
        file.write_text("def f(a):\n    return a\n\n")
        editor.command("filetype on")
        editor.command(f"edit {file}")
        until(lambda: (asked(editor, "statistics") or {}).get("ready"))
        yield editor
    finally:
        editor.exec_lua("vim.lsp.stop_client(vim.lsp.get_active_clients(), true)")
        editor.close()


def test_open_type_see_accept_undo(nvim):
    nvim.input("Gix = ")
    until(lambda: ghost(nvim) == "suggested(1, 2)")
    nvim.input("sug")  # typed through
    until(lambda: ghost(nvim) == "gested(1, 2)")
    nvim.input("<Tab>")
    until(lambda: nvim.current.line == "x = suggested(1, 2)")
    assert ghost(nvim) is None and nvim.current.window.cursor[1] == len("x = suggested(1, 2)")
    assert in_step(nvim)
    nvim.input("<Esc>u")
    until(lambda: nvim.current.line == "x = sug")
    until(lambda: in_step(nvim))
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
