"""Languages by name, file name and shebang; grammars from installed wheels only."""

import importlib
import importlib.util
from pathlib import Path

import pytest

from dgemma_constrain.errors import LanguageError
from dgemma_constrain.infill import languages
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
    monkeypatch.setattr(languages, "_installed", lambda *what: [])
    with pytest.raises(LanguageError, match="pip install tree-sitter-rust"):
        capsule.__wrapped__("rust")


def test_a_header_is_told_by_what_is_in_it():
    assert detect("a.h", "#pragma once\n\nnamespace a {\nint f();\n}\n") == "cpp"
    assert detect("a.h", "#include <vector>\nint f(void);\n") == "cpp"
    assert detect("a.h", "#include <stdio.h>\nstruct a { int x; };\nint f(struct a *);\n") == "c"


def test_a_pack_that_is_installed_is_used_where_a_wheel_is_missing(monkeypatch):
    """The wheel's own library stands for that of the pack, which has the same shape: a module with a `language`."""
    import tree_sitter_json
    from tree_sitter import Language

    library = next(Path(tree_sitter_json.__file__).parent.glob("_binding*"))
    monkeypatch.setattr(languages, "_installed", lambda package, pattern: [library] if "pack" in package else [])
    spec = importlib.util.spec_from_file_location
    monkeypatch.setattr(
        importlib.util, "spec_from_file_location", lambda name, path: spec("tree_sitter_json._binding", path)
    )
    assert Language(languages._from_pack("json")).node_kind_count == grammar("json").node_kind_count


def test_packs_are_looked_for_on_disk(tmp_path, monkeypatch):
    (tmp_path / "tree_sitter_languages").mkdir()
    (tmp_path / "tree_sitter_languages" / "__init__.py").write_text("raise RuntimeError('not to be imported')")
    (tmp_path / "tree_sitter_languages" / "languages.so").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert [path.name for path in languages._installed("tree_sitter_languages", "languages.*")] == ["languages.so"]
    assert languages._installed("tree_sitter_unheard", "*") == []
