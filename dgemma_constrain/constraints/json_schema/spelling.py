"""Strings as JSON writes them: of every character of a DFA all spellings, between quotes.

Names and listed strings take some six states a character with all their escapes, and one without those of plain ASCII
letters (`\\u0061` for a), which nobody writes. So with `escapes` false these are left out; characters that must be escaped,
or often are (outside ASCII, the slash), keep all their spellings.

The transitions of a DFA are replaced by copies of small fragments, one for each set of characters that occurs, which are
kept: what a schema's strings have in common (any character, a letter) is spelt out once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Callable

import numpy as np

from dgemma_constrain.automata.charset import Charset
from dgemma_constrain.automata.dfa import DFA, compile_nfa
from dgemma_constrain.automata.encodings import json_string
from dgemma_constrain.automata.nfa import NFA, concat, literal, symbol, union

QUOTE = literal('"')
FEW = 4  # characters that are spelt one by one
MANY = 0x1000  # characters that all keep all their spellings, since that takes no more states
_PLAIN = Charset.ranges([(0x20, 0x7E)]) - Charset.of('"\\/')


@lru_cache(maxsize=1024)
def quoted(dfa: DFA, escapes: bool = True) -> NFA:
    """The JSON strings of the texts of a DFA."""
    word = None if escapes else _word(dfa)
    if word is not None and all(" " <= c <= "~" and c not in '"\\/' for c in word):
        return literal(f'"{word}"')  # as what follows would say, and schemas name thousands of them
    return concat([QUOTE, spelt(dfa, escapes), QUOTE])


def _word(dfa: DFA) -> str | None:
    """The text of a DFA of one text: a chain, of which each transition is of one character."""
    n, alphabet = dfa.states - 1, dfa.alphabet
    if len(dfa.targets) != n or not dfa.accept[n] or dfa.accept[:n].any():
        return None
    known = alphabet.classes[:-1] >= 0
    widths = np.bincount(alphabet.classes[:-1][known], np.diff(alphabet.cuts)[known], alphabet.size)
    if not n or (widths[dfa.symbols] != 1).any():
        return None
    return "".join(map(chr, alphabet.first()[dfa.symbols]))


def spelt(dfa: DFA, escapes: bool) -> NFA:
    """What stands between the quotes."""
    return respelt(dfa, lambda charset: fragment(charset, escapes))


def respelt(dfa: DFA, spell: Callable[[Charset], NFA]) -> NFA:
    """The texts of a DFA with every character spelt in another way.

    A fragment's start and end are the transition's own states: nothing leads back to the one or on from the other.
    """
    plain = dfa.nfa()
    states, edges, jumps = plain.states, [], [plain.jumps]
    table: dict[Charset, int] = {}
    inserted = plain.states - 1  # the accepting state stays the last one
    for label, charset in enumerate(plain.charsets):
        part = spell(charset)
        rows = plain.edges[plain.edges[:, 1] == label]
        inner = part.states - 2
        names = np.array([table.setdefault(c, len(table)) for c in part.charsets], np.int32)
        place = np.empty((len(rows), part.states), np.int64)
        place[:, 0], place[:, -1] = rows[:, 0], rows[:, 2]
        place[:, 1:-1] = inserted + inner * np.arange(len(rows))[:, None] + np.arange(inner)
        inserted += inner * len(rows)
        copy = np.stack(
            [place[:, part.edges[:, 0]], np.broadcast_to(names[part.edges[:, 1]], (len(rows), len(part.edges))),
             place[:, part.edges[:, 2]]],
            -1,
        )  # fmt: skip
        edges.append(copy.reshape(-1, 3))
        if len(part.jumps):
            jumps.append(np.stack([place[:, part.jumps[:, 0]], place[:, part.jumps[:, 1]]], -1).reshape(-1, 2))
    states = inserted + 1
    moved = np.concatenate([np.zeros((0, 3), np.int64), *edges])
    jumped = np.concatenate(jumps)
    last = plain.states - 1  # no transition leads there, only jumps
    jumped[: len(plain.jumps)][plain.jumps == last] = states - 1
    return NFA(states, moved.astype(np.int32), jumped.astype(np.int32), tuple(table))


def is_plain(charset: Charset, escapes: bool) -> bool:
    """Whether the characters of a small set are spelt as they are, and in no other way."""
    return not escapes and not charset - _PLAIN


@lru_cache(maxsize=4096)
def fragment(charset: Charset, escapes: bool) -> NFA:
    """All spellings of one character out of a set."""
    plain = charset & _PLAIN
    if not escapes and plain and len(charset) < MANY:
        rest = charset - plain
        parts = [symbol(plain)] + ([fragment(rest, True)] if rest else [])
        return compile_nfa(union(parts)).nfa()
    if len(charset) > FEW:
        return json_string(compile_nfa(symbol(charset))).nfa()
    return compile_nfa(union([_character(chr(p)) for a, b in charset.pairs() for p in range(a, b + 1)])).nfa()


_SHORT = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _character(c: str) -> NFA:
    units = c.encode("utf-16-be").hex()
    escaped = []
    for i in range(0, len(units), 4):
        escaped.append(literal("\\u"))
        escaped += [symbol(Charset.of(d.lower() + d.upper())) for d in units[i : i + 4]]
    ways = [concat(escaped)]
    if c >= " " and c not in '"\\':
        ways.append(literal(c))
    if c in _SHORT:
        ways.append(literal(_SHORT[c]))
    return union(ways)
