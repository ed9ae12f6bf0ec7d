"""The punctuation of JSON, and the white space around it."""

from __future__ import annotations

import re
from functools import lru_cache

from dgemma_constrain.automata.charset import Charset
from dgemma_constrain.automata.dfa import DFA, compile_nfa, subtract
from dgemma_constrain.automata.nfa import EPSILON, NFA, concat, literal, star, symbol
from dgemma_constrain.constraints import regex
from dgemma_constrain.errors import ConstraintError, RegexError

KINDS = ("any", "compact", "pretty")
_SPACE = " \t\n\r"
_WHITE = star(symbol(Charset.of(_SPACE)))
# Of a JSON text, the strings and the marks, with the space that is part of each.
_MARK = re.compile(r'"(?:[^"\\]|\\.)*"|\[W\]|\{W\}|[\[{]W|W[\]}]|W[,:]W'.replace("W", f"[{_SPACE}]*"))
_MARKS: dict[tuple[str, int], dict[tuple[str, int], NFA]] = {}  # the same in every schema, by layout


class Layout:
    """`any`: wherever JSON allows it; `compact`: nowhere; `pretty`: as `json.dumps(…, indent=n)`; a regular expression:
    wherever JSON allows it inside the value, what matches.

    `outer` may stand around the whole. `depth` counts the arrays and objects around a place; it is 0 throughout unless `pretty`.
    """

    def __init__(self, kind: str, indent: int = 2):
        self.kind, self.indent = kind, indent
        self._gap = EPSILON if kind in ("compact", "pretty") else _WHITE if kind == "any" else _given(kind).nfa()
        self.outer = _WHITE if kind == "any" else EPSILON

    def inner(self, depth: int) -> int:
        """The depth inside an array or object at `depth`."""
        return depth + 1 if self.kind == "pretty" else 0

    def mark(self, mark: str, depth: int) -> NFA:
        """`[` `]` `{` `}` `,` `:` or an empty `[]` or `{}`, in or of what stands at `depth`, with the space around it."""
        made = _MARKS.setdefault((self.kind, self.indent), {})
        if (mark, depth) not in made:
            made[mark, depth] = self._mark(mark, depth)
        return made[mark, depth]

    def fits(self, text: str) -> bool:
        """Whether a JSON text has white space where it should, and no other."""
        if self.kind == "any":
            return True
        if text != text.strip(_SPACE):
            return False
        depth = 0
        for read in _MARK.findall(text):
            mark = "".join(read.split())
            if mark[0] == '"':
                continue
            depth -= mark in ("]", "}")
            around = depth - (mark in (",", ":"))
            if not _reader(self.kind, self.indent, mark, around if self.kind == "pretty" else 0).accepts(read):
                return False
            depth += mark in ("[", "{")
        return True

    def _mark(self, mark: str, depth: int) -> NFA:
        gap = self._gap
        if self.kind == "pretty":
            inside, after = "\n" + " " * self.indent * (depth + 1), "\n" + " " * self.indent * depth
            return literal({"[": "[" + inside, "{": "{" + inside, ",": "," + inside, ":": ": "}.get(mark) or (
                after + mark if mark in ("]", "}") else mark
            ))  # fmt: skip
        if mark in ("[", "{"):
            return concat([literal(mark), gap])
        if mark in ("]", "}"):
            return concat([gap, literal(mark)])
        if mark in (",", ":"):
            return concat([gap, literal(mark), gap])
        return concat([literal(mark[0]), gap, literal(mark[1])])


@lru_cache(maxsize=512)
def _reader(kind: str, indent: int, mark: str, depth: int) -> DFA:
    return compile_nfa(Layout(kind, indent).mark(mark, depth))


@lru_cache(maxsize=64)
def _given(pattern: str) -> DFA:
    """White space that a caller's regular expression allows."""
    try:
        found = compile_nfa(regex.parse(pattern, flavor="python").nfa())
    except RegexError as error:
        raise ConstraintError(f"whitespace must be {', '.join(KINDS)} or a regular expression: {error}") from None
    strange = subtract(found, compile_nfa(_WHITE))
    if not strange.is_empty:
        raise ConstraintError(
            f"whitespace must be {', '.join(KINDS)} or a regular expression for white space; {pattern!r:.60} also stands "
            f"for {strange.shortest()!r:.40}"
        )
    if found.is_empty:
        raise ConstraintError(f"whitespace: nothing matches {pattern!r:.60}")
    return found
