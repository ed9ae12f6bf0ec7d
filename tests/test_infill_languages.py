"""Languages by name, file name and shebang; grammars from installed wheels only."""

import importlib

import pytest

from dgemma_constrain.errors import LanguageError
from dgemma_constrain.infill.languages import KNOWN, canonical, capsule, detect, grammar


@pytest.mark.parametrize(
    "path, source, language",
    [
        ("a/b.py", "", "python"), ("x.TSX", "", "tsx"), ("x.h", "", "c"), (".bashrc", "", "bash"), ("a.b.mjs", "", "javascript"),
        ("run", "#!/usr/bin/env python3.11\n", "python"), ("run", "#! /bin/sh -e\n", "bash"),
        (None, "#!/usr/bin/env -S node --x\n", "javascript"),
    ],
)  # fmt: skip
def test_a_files_language_is_told_by_name_or_shebang(path, source, language):
    assert detect(path, source) == language


@pytest.mark.parametrize("path", ["x.unheard", "Makefile", None, "py"])
def test_what_cannot_be_told_is_an_error(path):
    with pytest.raises(LanguageError, match="can't be told; name it, one of python"):
        detect(path)


def test_editors_names_are_known():
    assert [canonical(n) for n in ("TypeScriptReact", "shellscript", "js", "C++", ".rs")] == [
        "tsx", "bash", "javascript", "cpp", "rust",
    ]  # fmt: skip
    with pytest.raises(LanguageError, match="'cobol' is no language"):
        canonical("cobol")


@pytest.mark.parametrize("known", KNOWN, ids=lambda k: k.name)
def test_every_grammar_parses(known):
    from tree_sitter import Parser

    assert not Parser(grammar(known.name)).parse(b"").root_node.has_error


def test_a_missing_grammar_names_its_package(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(LanguageError, match="pip install tree-sitter-rust"):
        capsule.__wrapped__("rust")


def test_a_header_is_told_by_what_is_in_it():
    assert detect("a.h", "#pragma once\n\nnamespace a {\nint f();\n}\n") == "cpp"
    assert detect("a.h", "#include <vector>\nint f(void);\n") == "cpp"
    assert detect("a.h", "#include <stdio.h>\nstruct a { int x; };\nint f(struct a *);\n") == "c"
