"""A Neovim that has inline completion of its own (0.12 on), without a screen. $NEOVIM may name it."""

import os
import re
import shutil
import subprocess

import pytest

pytest.importorskip("pygls", reason="the [lsp] extra is not installed")
pynvim = pytest.importorskip("pynvim", reason="pynvim is not installed")

from lsp_neovim import ghost as shown
from lsp_neovim import (
    asked,
    in_step,
    settings,
    until,
    test_commands_write_into_the_buffer,  # noqa: F401
    test_the_server_has_the_buffers_text_after_two_thousand_random_edits,  # noqa: F401
)
from lsp_session import HERE

PROGRAM = os.environ.get("NEOVIM", "nvim")


@pytest.fixture(scope="module", autouse=True)
def version():
    if shutil.which(PROGRAM) is None:
        pytest.skip("Neovim is not installed")
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True).stdout
    if tuple(map(int, re.search(r"v(\d+)\.(\d+)", said).groups())) < (0, 12):
        pytest.skip(f"{said.split(chr(10))[0]} has no inline completion of its own; $NEOVIM may name one of 0.12")


@pytest.fixture
def nvim(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    editor = pynvim.attach("child", argv=[PROGRAM, "--embed", "--headless", "-u", "NONE", "-i", "NONE", "-n"])
    try:
        editor.exec_lua("vim.opt.runtimepath:append(...)", str(HERE.parent / "lsp" / "editors" / "neovim"))
        editor.exec_lua("require('dgemma').setup(...)", settings())
        file = tmp_path / "a.py"
        file.write_text("def f(a):\n    return a\n\n")
        editor.command("filetype on")
        editor.command(f"edit {file}")
        until(lambda: editor.exec_lua("return #vim.lsp.get_clients({ name = 'dgemma', bufnr = 0 }) == 1"))
        until(lambda: (asked(editor, "statistics") or {}).get("ready"))
        yield editor
        assert "dgemma" not in editor.command_output("messages")
    finally:
        editor.exec_lua("for _, c in ipairs(vim.lsp.get_clients()) do c:stop(true) end")
        editor.close()


def ghost(editor):
    return shown(editor, "nvim.lsp.inline_completion")


def test_see_type_through_accept_undo(nvim):
    nvim.input("Gix = ")
    until(lambda: ghost(nvim) == "suggested(1, 2)")
    nvim.input("sug")
    until(lambda: ghost(nvim) == "gested(1, 2)")
    nvim.input("<Tab>")
    until(lambda: nvim.current.line == "x = suggested(1, 2)")
    until(lambda: in_step(nvim))
    until(lambda: asked(nvim, "statistics")["counts"]["accepted"] == 1)
    nvim.input("<Esc>u")
    until(lambda: nvim.current.line != "x = suggested(1, 2)")
    until(lambda: in_step(nvim))


def test_accept_by_word_and_by_line_of_several(nvim):
    nvim.input("Go    ")
    until(lambda: ghost(nvim) == "suggested(1, 2)\n    and_more()")
    nvim.input("<M-Right>")
    until(lambda: nvim.current.line == "    suggested")
    until(lambda: ghost(nvim) == "(1, 2)\n    and_more()")
    nvim.input("<M-Down>")
    until(lambda: nvim.current.line == "    suggested(1, 2)")
    assert "accepted" not in asked(nvim, "statistics")["counts"]


def test_where_nothing_is_shown_the_keys_mean_what_they_do(nvim):
    nvim.command("set expandtab shiftwidth=4 softtabstop=4")
    nvim.current.buffer[:] = [""]
    nvim.input("i<Tab>")
    until(lambda: nvim.current.line.startswith("    "))
