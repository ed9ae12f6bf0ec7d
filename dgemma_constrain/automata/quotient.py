"""What may stand between two texts: {h : left·h·right ∈ L}, the quotient of a regular language by both.

From the state after `left`, to the states from which `right` is accepted; those are found backwards, a letter at a time. (The
quotient of a regular language by words is regular on the same transitions: Hopcroft and Ullman, theorem 3.6.)
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.dfa import DFA, minimal
from dgemma_constrain.automata.kernels import grouped, sources


def between(dfa: DFA, left: str, right: str) -> DFA:
    """The texts h with left + h + right in the language of `dfa`; the empty language if there are none."""
    return after(dfa, left, accepting(dfa, right))


def after(dfa: DFA, left: str, accept: np.ndarray) -> DFA:
    """The texts h with which `dfa` comes from the state after `left` to one of `accept`, bool[S]."""
    read, start = dfa.run(left)
    if read < len(left):
        return _from(dfa, 0, np.zeros(dfa.states, bool))
    return _from(dfa, start, accept)


def accepting(dfa: DFA, text: str) -> np.ndarray:
    """The states from which `text` is accepted, bool[S]."""
    source = sources(dfa.offsets)
    offsets, order = grouped(dfa.symbols, dfa.alphabet.size)
    accept = dfa.accept
    for symbol in dfa.alphabet.of(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.int32))[::-1].tolist():
        before = np.zeros(dfa.states, bool)
        if symbol >= 0:
            moves = order[offsets[symbol] : offsets[symbol + 1]]
            before[source[moves[accept[dfa.targets[moves]]]]] = True
        if not before.any():
            return before
        accept = before
    return accept


def _from(dfa: DFA, start: int, accept: np.ndarray) -> DFA:
    """The automaton with another start and other accepting states: the start changes places with state 0."""
    order = np.arange(dfa.states)
    order[[0, start]] = order[[start, 0]]  # its own inverse
    sizes = np.diff(dfa.offsets)[order]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    moves = np.repeat(dfa.offsets[:-1][order] - offsets[:-1], sizes) + np.arange(offsets[-1])
    targets = order[dfa.targets[moves]].astype(np.int32)
    return minimal(dfa.alphabet, offsets, dfa.symbols[moves], targets, accept[order])
