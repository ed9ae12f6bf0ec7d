"""Programming languages: which there are, how a file's is told, and the wheel its tree-sitter grammar comes in.

Grammars are the official wheels, one package a language, loaded from disk; nothing is ever downloaded. Where a wheel is missing,
the grammar is taken from `tree-sitter-language-pack` or `tree-sitter-languages`, if one of them is installed already.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from dgemma_constrain.errors import LanguageError


@dataclass(frozen=True)
class Known:
    """A language. `words`: other names, editors' among them. `endings` of files. `programs` that a shebang names."""

    name: str
    package: str
    function: str = "language"
    words: str = ""
    endings: str = ""
    programs: str = ""


KNOWN = (
    Known("python", "tree-sitter-python", words="py python3", endings="py pyi pyw", programs="python pypy uv"),
    Known("json", "tree-sitter-json", words="jsonc", endings="json jsonl webmanifest ipynb"),
    Known(
        "javascript", "tree-sitter-javascript", words="js javascriptreact jsx node", endings="js mjs cjs jsx",
        programs="node bun",
    ),
    Known(
        "typescript", "tree-sitter-typescript", "language_typescript", words="ts", endings="ts mts cts",
        programs="deno ts-node tsx",
    ),
    Known("tsx", "tree-sitter-typescript", "language_tsx", words="typescriptreact", endings="tsx"),
    Known("go", "tree-sitter-go", words="golang", endings="go"),
    Known("rust", "tree-sitter-rust", words="rs", endings="rs"),
    Known("java", "tree-sitter-java", endings="java"),
    Known("c", "tree-sitter-c", endings="c h"),
    Known("cpp", "tree-sitter-cpp", words="c++ cxx", endings="cpp cc cxx c++ hpp hh hxx h++ ino"),
    Known("bash", "tree-sitter-bash", words="sh shell shellscript zsh", endings="sh bash zsh", programs="sh bash dash ksh zsh"),
    Known("html", "tree-sitter-html", words="htm xhtml", endings="html htm xhtml"),
    Known("css", "tree-sitter-css", endings="css"),
)  # fmt: skip
FILES = {".bashrc": "bash", ".profile": "bash", ".bash_profile": "bash", ".babelrc": "json", "PKGBUILD": "bash"}
CPP_HEADER = re.compile(
    r"^\s*(?:namespace\b|template\s*<|class\s+\w|using\s+\w|public:|private:|protected:|#\s*include\s*<\w+>)|\w::\w",
    re.MULTILINE,
)
_BY_WORD = {word: known for known in KNOWN for word in (known.name, *known.words.split())}
_BY_ENDING = {ending: known for known in KNOWN for ending in known.endings.split()}
_BY_PROGRAM = {program: known for known in KNOWN for program in known.programs.split()}


def detect(path: str | None, source: str = "") -> str:
    """The language of a file, by its name, or else by the program its first line (`#!`) names; a header's (`.h`) by what is in it.
    Raises LanguageError."""
    name = PurePath(path).name if path else ""
    if name in FILES:
        return FILES[name]
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    if ending == "h" and CPP_HEADER.search(source):
        return "cpp"
    if ending in _BY_ENDING:
        return _BY_ENDING[ending].name
    shebang = re.match(r"#!\s*(?:\S*/)?env\s+(?:-\S+\s+)*(\S+)|#!\s*(\S+)", source)
    if shebang:
        program = PurePath(shebang[1] or shebang[2]).name
        program = re.sub(r"[\d.]+$", "", program)
        if program in _BY_PROGRAM:
            return _BY_PROGRAM[program].name
    raise LanguageError(f"{name or 'a text without a name'}: its language can't be told; name it, one of {_names()}")


def canonical(name: str) -> str:
    """The language's own name for one of its names, or of a file ending. Raises LanguageError."""
    word = name.strip().lower()
    known = _BY_WORD.get(word) or _BY_ENDING.get(word.lstrip("."))
    if known is None:
        raise LanguageError(f"{name!r} is no language that is known here; known are {_names()}")
    return known.name


@cache
def capsule(name: str) -> Any:
    """The compiled grammar of a language, a PyCapsule around its `TSLanguage`: from its own wheel, else from a pack of grammars
    that happens to be installed. Raises LanguageError."""
    known = _BY_WORD[canonical(name)]
    try:
        module = importlib.import_module(known.package.replace("-", "_"))
    except ImportError:
        found = _from_pack(known.name)
        if found is None:
            raise LanguageError(f"the grammar of {known.name} is not installed; pip install {known.package}") from None
        return found
    return getattr(module, known.function)()


def _from_pack(name: str) -> Any:
    """From the shared libraries of a pack. Its own functions aren't called: those of the one download what is missing, and those
    of the other fail with a tree-sitter of today."""
    for path in _installed("tree_sitter_language_pack", f"bindings/{name}.*"):
        spec = importlib.util.spec_from_file_location(f"tree_sitter_language_pack.bindings.{name}", path)
        if spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module.language()
    for path in _installed("tree_sitter_languages", "languages.*"):
        function = getattr(ctypes.CDLL(str(path)), f"tree_sitter_{name}")
        function.restype = ctypes.c_void_p
        wrap = ctypes.pythonapi.PyCapsule_New
        wrap.restype, wrap.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return wrap(function(), b"tree_sitter.Language", None)
    return None


def _installed(package: str, pattern: str) -> list[Path]:
    """Files of a package that isn't imported for it."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return [path for folder in folders or () for path in sorted(Path(folder).glob(pattern))]


@cache
def grammar(name: str) -> Any:
    """The `tree_sitter.Language` of a language. Raises LanguageError, which names the package to install."""
    compiled = capsule(name)
    try:
        from tree_sitter import Language
    except ImportError:
        raise LanguageError("tree-sitter is not installed; pip install tree-sitter") from None
    try:
        return Language(compiled)
    except ValueError as error:  # a grammar whose ABI this tree-sitter doesn't read
        raise LanguageError(f"the grammar of {name} doesn't fit the tree-sitter that is installed ({error})") from None


def _names() -> str:
    return ", ".join(known.name for known in KNOWN)
