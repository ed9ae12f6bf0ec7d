"""Context-free grammars, read into plain data and checked.

Reading order: rules, read_lark, read_gbnf, check, lexer (what a text's terminals are), recognise; then what makes a
grammar an automaton: nesting, spelling, unfold; and a machine that is searched: guesses, configurations, machine, composite
(grammars as parts of something else), cover, plain (on disk); constraint.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Sequence

from dgemma_constrain.constraints.grammar.rules import Grammar
from dgemma_constrain.errors import GrammarError

MAX_LENGTH = 4_000_000  # characters in a grammar
_START = {"lark": "start", "gbnf": "root"}
_GBNF_RULE = re.compile(r"^[ \t]*[A-Za-z0-9_-]+[ \t]*::=", re.MULTILINE)


def read(
    source: str | Path, start: str | None = None, dialect: str | None = None, import_paths: Sequence[str | Path] = ()
) -> Grammar:
    """The grammar in a text, in a file (a path, or a line that ends in .lark or .gbnf), or of a bundled name.

    start: the rule that a whole text must match; "start" if Lark's notation, "root" if GBNF
    dialect: "lark" or "gbnf"; without one, a text with a rule `name ::= …` in it is GBNF
    import_paths: folders in which Lark's `%import` looks first
    Raises GrammarError with line and column.
    """
    if dialect not in (None, "lark", "gbnf"):
        raise GrammarError(f'dialect must be "lark" or "gbnf", not {dialect!r}')
    if not isinstance(source, (str, Path)):
        raise GrammarError(f"a grammar is a text, a path or a name, not {type(source).__name__}")
    path = _path(source)
    text = source if path is None else _contents(path)
    file = None if path is None else str(path)
    if len(text) > MAX_LENGTH:
        raise GrammarError(f"a grammar may have {MAX_LENGTH:,} characters, this one has {len(text):,}", file=file)
    if dialect is None:
        named = path.suffix[1:] if path else ""
        dialect = named if named in _START else "gbnf" if _GBNF_RULE.search(text) else "lark"
    if dialect == "gbnf":
        from dgemma_constrain.constraints.grammar.read_gbnf import read_gbnf

        return read_gbnf(text, start or _START[dialect], file)
    from dgemma_constrain.constraints.grammar.read_lark import read_lark

    return read_lark(text, start or _START[dialect], file, [str(folder) for folder in import_paths])


def bundled() -> dict[str, Path]:
    """The grammars that come with the package, by name."""
    folder = Path(__file__).parents[2] / "grammars"
    return {path.stem: path for path in sorted(folder.glob("*.lark"))}


def _path(source: str | Path) -> Path | None:
    if isinstance(source, Path):
        return source
    if re.fullmatch(r"\s*[A-Za-z_][\w-]*\s*", source):
        names = bundled()
        if source.strip() not in names:
            raise GrammarError(f"there is no grammar named {source.strip()!r}; there are {', '.join(names) or 'none'}")
        return names[source.strip()]
    return Path(source) if re.fullmatch(r"[^\n]+\.(lark|gbnf)", source) else None


def _contents(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise GrammarError(f"cannot read the grammar: {error.strerror}", file=str(path)) from None
    except UnicodeDecodeError as error:
        raise GrammarError(f"the grammar is not UTF-8: byte {error.start} is wrong", file=str(path)) from None
