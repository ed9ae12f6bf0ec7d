"""Whether a text can still become one of the language: a GLR recogniser of prefixes on the grammar wheel's own tables.

All parses that the tables allow go on side by side, each a stack of states that shares its lower part with the others
(Tomita 1985; here plain linked pairs). An LR automaton has the viable-prefix property: what it can shift is part of a prefix
that can be completed. So a text dies exactly when no stack is left, apart from its last token, which more text may change:
it is left open and looked at again. Exact relative to tree-sitter's grammar without its reserved words, so never too strict.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dgemma_constrain.infill.lexer import Lexer
from dgemma_constrain.infill.tables import ACCEPT, REDUCE, SHIFT, Tables, tables

LONGEST = 20_000  # characters before the hole that are read; a longer definition is left to the judge
MOST = 64  # stacks side by side; where there are more, nothing is pruned
Stack = tuple[int, Any]  # (state, the stack below it or None)


class Open(NamedTuple):
    """A parse up to `at`, behind which the text's last, still open token begins."""

    stack: Stack
    at: int
    scanner: bytes


class Prefixes:
    """Tells whether `before` + a text can be completed. `alive` is False from the start if already `before` cannot, as in a
    file that is broken before the hole: then there is nothing to prune by."""

    def __init__(self, language: str, before: str):
        self.alive = False
        found = tables(language)
        if found is None or len(before) > LONGEST:
            return
        self._tables: Tables = found
        self._lexer = Lexer(found)
        self._before = _codes(before)
        start = [Open((1, None), 0, self._lexer.initial)]
        self.alive, open_ = self._run(self._before, start)
        self._open = {"": open_}

    def allows(self, text: str, longer: str) -> bool:
        """Whether before + longer can be completed, where `longer` begins with `text`, which was allowed."""
        codes = np.concatenate([self._before, _codes(longer)])
        alive, self._open[longer] = self._run(codes, self._open.get(text, self._open[""]))
        return alive

    def _run(self, text: np.ndarray, start: list[Open]) -> tuple[bool, list[Open]]:
        """Whether the text can be completed, and its parses up to the last token that more text can't change."""
        lexer, length = self._lexer, len(text)
        lexer.read(text)
        first = min((one.at for one in start), default=length)
        blank_from = first + len("".join(map(chr, text[first:])).rstrip())
        open_: dict[Open, None] = {}
        alive = False
        todo = [(one, False) for one in start]  # and whether it rests on a token that may still change
        seen = set(todo)
        while todo:
            one, tentative = todo.pop()
            token = lexer.token(one.stack[0], one.at, one.scanner)
            waits = lexer.scanner_open
            unsure = token is None or token.end >= length or token.touched or token.symbol == 0
            if unsure and not tentative:
                open_[one] = None
            if waits or one.at >= blank_from:
                alive = True
                if not tentative:
                    open_[one] = None
            if token is None:
                alive = alive or lexer.runs_out(one.stack[0], one.at)
                continue
            if token.symbol == 0 or token.start >= length and token.end >= length:
                continue
            fed = self._feed(one.stack, token.symbol)
            at_end = token.end >= length
            alive = alive or bool(fed) and (at_end or token.touched)
            if not fed and at_end and not alive:
                alive = self._may_grow(one.stack, text, token.start)
            for stack in fed:
                following = Open(stack, token.end, token.scanner), tentative or token.touched
                if following not in seen:
                    seen.add(following)
                    todo.append(following)
            if len(seen) > 100 * MOST + length:  # more parses than tokens warrant: don't prune
                return True, list(start)
        return alive, list(open_)

    def _feed(self, stack: Stack, symbol: int) -> list[Stack]:
        """All stacks behind a terminal: after reductions, the shift."""
        shifted: dict[Stack, None] = {}
        todo, seen = [stack], set()
        while todo:
            top = todo.pop()
            if top in seen:
                continue
            seen.add(top)
            for action in self._tables.actions(top[0], symbol):
                if action[0] == SHIFT:
                    if not action[3]:  # of a repetition the reduction beside it does the same
                        shifted[top if action[2] else (action[1], top)] = None
                elif action[0] == REDUCE:
                    below: Any = top
                    for _ in range(action[1]):
                        below = below and below[1]
                    goto = below and self._tables.row(below[0]).get(action[2])
                    if goto:
                        todo.append((goto, below))
                elif action[0] == ACCEPT:
                    continue
        return list(shifted)

    def _may_grow(self, stack: Stack, text: np.ndarray, start: int) -> bool:
        """Whether a keyword or sign that begins with the text's last piece could stand there: `i` of `in`."""
        rest = "".join(map(chr, text[start:]))
        names = self._tables.names
        return any(
            names[symbol].startswith(rest) and self._feed(stack, symbol)
            for symbol in self._tables.row(stack[0])
            if symbol < self._tables.raw.token_count
        )


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), np.int32)
