"""Spans of terminals in a text with gaps: those of all texts that it may be."""

import itertools
import random

import numpy as np
import pytest
from test_grammar_machine import TERMINALS

from dgemma_constrain.constraints.grammar.lexer import Lexer
from dgemma_constrain.constraints.grammar.rules import Grammar
from dgemma_constrain.constraints.grammar.spans import GAP, find_spans, side_by_side


def fillings(pieces: list[str | None]):
    """Each text: its characters, and the place of each of its boundaries."""
    gap = ["".join(word) for n in (1, 2, 3) for word in itertools.product("abc", repeat=n)]
    for words in itertools.product(*(gap if p is None else [p] for p in pieces)):
        places = [q for q, word in enumerate(words) for _ in word]
        yield "".join(words), [*places, len(words)]


def spans_of(terminals, text: str, places: list[int], end: int) -> set[tuple[int, int, int, int]]:
    """Source, terminal, target, and characters in the gap of the source, of what the text may be cut into.

    end: where what is known ends, in characters; what ends behind it is counted to there.
    """
    found, waiting, seen = set(), [0], set()
    while waiting:
        i = waiting.pop()
        if i in seen or i >= end:
            continue
        seen.add(i)
        for t, matches in enumerate(terminals):
            for j in range(i + 1, len(text) + 1):
                if matches(text[i:j]) and not (j < len(text) and matches(text[i : j + 1])):
                    typed = sum(p == places[i] for p in places[i:j])
                    found.add((places[i], t, places[min(j, end)], typed))
                    waiting.append(j)
    return found


@pytest.mark.parametrize("cut", [False, True])
def test_all_spans_by_brute_force(cut):
    rng = random.Random(37)
    seen = excluded = 0
    for _ in range(60):
        terminals = tuple(rng.sample(TERMINALS, rng.randint(1, 4)))
        lexer = Lexer(Grammar(terminals, (), (), (), 0))
        accepting = [terminal.dfa().accepts for terminal in terminals]
        pieces = [rng.choice(["a", "b", "a", "b", None]) for _ in range(rng.randint(1, 5))]
        pieces = [p for p, q in itertools.zip_longest(pieces, pieces[1:]) if p or q]  # a gap is as long as it likes
        if pieces.count(None) > 2 or not pieces:
            continue
        text = np.array([GAP if p is None else lexer.classes(p)[0] for p in pieces], np.int32)
        rows, reached = find_spans(side_by_side(*lexer.automata, np.zeros(lexer.alphabet.size, bool)), text, cut)
        assert (np.diff(rows[:, 0]) >= 0).all()
        found = {}
        for *span, typed in rows.tolist():
            found[tuple(span)] = min(typed, found.get(tuple(span), typed))
        wanted = {}
        for known, places in fillings(pieces):
            for more in ["", "a", "b", "ab", "bb", "c"] if cut else [""]:
                spans = spans_of(accepting, known + more, [*places, *[places[-1]] * len(more)], len(known))
                for source, t, target, typed in spans:
                    wanted[source, t, target] = min(typed, wanted.get((source, t, target), typed))
        for span, typed in wanted.items():
            assert reached[span[0]] and reached[span[2]]
            assert found[span] <= typed or pieces[span[0]] is not None, (terminals, pieces, span)
        seen += len(wanted)
        excluded += len(terminals) * len(pieces) * (len(pieces) + 1) // 2 - len(found)
    assert seen > 100 and excluded > 100
