"""What is wrong with a grammar, and where, in characters of its text."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from dgemma_constrain.constraints.grammar import read
from dgemma_constrain.errors import ConstraintError, GrammarWarning
from dgemma_lsp.completing import path_of

_WORD = re.compile(r"\w+|.|$")
_PLACE = re.compile(r" \(line \d+, column \d+[^)]*\)$")


@dataclass(frozen=True)
class Problem:
    start: int
    end: int
    message: str
    warning: bool = False


def problems(uri: str, text: str) -> list[Problem]:
    """All that `dc.grammar` would say about a grammar's text: at most one error, and warnings."""
    path = path_of(uri)
    folder = [Path(path).parent] if path else []
    found = []
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            read(text + "\n", dialect="gbnf" if uri.endswith(".gbnf") else "lark", import_paths=folder)
        except ConstraintError as error:
            start = _offset(text, getattr(error, "line", None), getattr(error, "column", None))
            found.append(Problem(start, _WORD.match(text, start).end(), _PLACE.sub("", str(error))))
    for warning in heard:
        if issubclass(warning.category, GrammarWarning):
            found.append(Problem(0, _WORD.match(text).end(), str(warning.message), True))
    return found


def _offset(text: str, line: int | None, column: int | None) -> int:
    """Of a line and column that count from 1; no line is the text's beginning."""
    if line is None:
        return 0
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1 or len(text)
    return min(start + (column or 1) - 1, len(text))
