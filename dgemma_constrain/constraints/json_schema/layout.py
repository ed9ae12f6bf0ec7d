"""Fixed JSON text, and where white space may stand between its tokens."""

from __future__ import annotations

import json
from typing import Any, Sequence

import numpy as np

from dgemma_constrain.automata.charset import Charset, char
from dgemma_constrain.automata.nfa import NFA, strings

KINDS = ("any", "compact", "pretty")

GAP = "\0"  # in a text here: any run of white space. JSON text holds no raw NUL, so it can't mean itself.
_WHITE = Charset.of(" \t\n\r")


def fragment(texts: Sequence[str]) -> NFA:
    """Any one of these texts, gaps filled freely.

    In the trie of the texts a state behind a gap has no other way in, so the gap's edge becomes a jump to that state
    and a loop on it.
    """
    trie = strings(texts)
    if char(GAP) not in trie.charsets:
        return trie
    gaps = trie.edges[:, 1] == trie.charsets.index(char(GAP))
    loops = trie.edges[gaps]
    loops[:, 0], loops[:, 1] = loops[:, 2], len(trie.charsets)
    jumps = np.concatenate([trie.jumps, trie.edges[gaps][:, [0, 2]]])
    return NFA(trie.states, np.concatenate([trie.edges[~gaps], loops]), jumps, (*trie.charsets, _WHITE))


class Layout:
    """`any`: wherever JSON allows it inside the value; `compact`: nowhere; `pretty`: as `json.dumps(…, indent=2)`.

    Nothing before the first and after the last token in any of them: a canvas has better uses for its positions.
    `depth` counts the arrays and objects around a place; it is 0 throughout unless `pretty`.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self.free = GAP if kind == "any" else ""
        self.colon = ": " if kind == "pretty" else f"{self.free}:{self.free}"

    def inner(self, depth: int) -> int:
        """The depth inside an array or object at `depth`."""
        return depth + 1 if self.kind == "pretty" else 0

    def line(self, depth: int) -> str:
        return "\n" + "  " * depth if self.kind == "pretty" else self.free

    def open(self, bracket: str, depth: int) -> str:
        return bracket + self.line(self.inner(depth))

    def comma(self, depth: int) -> str:
        """Between two members of what stands at `depth`."""
        return f"{self.free},{self.line(self.inner(depth))}"

    def close(self, bracket: str, depth: int) -> str:
        return self.line(depth) + bracket

    def empty(self, brackets: str) -> str:
        return brackets[0] + self.free + brackets[1]

    def name(self, name: str) -> str:
        return json.dumps(name, ensure_ascii=False) + self.colon

    def value(self, value: Any, depth: int) -> str:
        """A whole value, each string and number in its one canonical spelling."""
        inner = self.inner(depth)
        if isinstance(value, list):
            brackets, members = "[]", [self.value(member, inner) for member in value]
        elif isinstance(value, dict):
            brackets, members = "{}", [self.name(name) + self.value(v, inner) for name, v in value.items()]
        else:
            return json.dumps(value, ensure_ascii=False)
        if not members:
            return self.empty(brackets)
        return self.open(brackets[0], depth) + self.comma(depth).join(members) + self.close(brackets[1], depth)
