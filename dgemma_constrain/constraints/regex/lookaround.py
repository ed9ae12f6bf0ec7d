"""Look-around, exactly, by automata.

Give each assertion k a marker m_k, a symbol that stands for no text, and let the pattern read m_k where it asserts k.
A *marked text* is a text with markers strewn in. The pattern's marked texts are a regular language, Main. Some of them
are wrong: a marker stands where its assertion fails. With

    Fails_k  the texts with one m_k in them, at a place where assertion k fails
             = Σ* m_k B Σ* for (?!B), Σ* B m_k Σ* for (?<!B), their complements within Σ* m_k Σ* for (?=B), (?<=B)
    Wrong_k  the same with any other markers strewn in (a loop on every state): some m_k fails

the pattern's texts are Main minus all Wrong_k, markers erased. Body B may hold assertions of its own. They are about
the same text, so Σ* m_k B Σ* is resolved by the very same construction before use, m_k being just another letter that
no assertion can see.
"""

from __future__ import annotations

from typing import Callable, Mapping, Sequence

import numpy as np

from dgemma_constrain.automata.charset import ANY, TEXT_LIMIT, Charset
from dgemma_constrain.automata.dfa import compile_nfa, subtract
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import EPSILON, NFA, concat, star, symbol, union
from dgemma_constrain.constraints.regex.syntax import Boundary, Node, children, is_assertion
from dgemma_constrain.constraints.regex.thompson import thompson

_ALL_MARKERS = Charset(np.array([TEXT_LIMIT, 2**30], np.int32))
_TEXT = star(symbol(ANY))


def resolve(main: Callable[[Mapping[Node, int]], NFA], items: Sequence[Node], first: int, limits: Limits) -> NFA:
    """The texts of `main`, a function of the markers to read for the assertions in `items`; markers from `first` on."""
    marks = _numbered(items, first)
    if not marks:
        return main(marks)
    wrong = union([_with_noise(_fails(assertion, mark, limits)) for assertion, mark in marks.items()])
    right = subtract(compile_nfa(main(marks), limits), compile_nfa(wrong, limits), limits)
    return _erased(right.nfa(), first)


def _numbered(items: Sequence[Node], first: int) -> dict[Node, int]:
    """A marker for each distinct assertion, those inside other assertions left out."""
    marks: dict[Node, int] = {}
    stack = list(items)
    while stack:
        node = stack.pop()
        if is_assertion(node):
            marks.setdefault(node, first + len(marks))
        else:
            stack.extend(children(node))
    return marks


def _fails(assertion: Node, mark: int, limits: Limits) -> NFA:
    here = symbol(Charset.marker(mark))
    if isinstance(assertion, Boundary):
        return _no_boundary(assertion, here)

    def found(marks: Mapping[Node, int]) -> NFA:
        body = thompson(assertion.body, marks)
        return concat([_TEXT, here, body, _TEXT] if assertion.ahead else [_TEXT, body, here, _TEXT])

    holds = resolve(found, [assertion.body], mark + 1, limits)
    if assertion.negative:
        return holds
    anywhere = compile_nfa(concat([_TEXT, here, _TEXT]), limits)
    return subtract(anywhere, compile_nfa(holds, limits), limits).nfa()


def _no_boundary(boundary: Boundary, here: NFA) -> NFA:
    word, other = symbol(boundary.word), symbol(~boundary.word)
    word_before, word_after = concat([_TEXT, word]), concat([word, _TEXT])
    none_before, none_after = union([EPSILON, concat([_TEXT, other])]), union([EPSILON, concat([other, _TEXT])])
    if not boundary.negated:
        return union([concat([word_before, here, word_after]), concat([none_before, here, none_after])])
    empty = [here] if boundary.nonempty else []
    return union([concat([word_before, here, none_after]), concat([none_before, here, word_after]), *empty])


def _with_noise(nfa: NFA) -> NFA:
    """Any markers anywhere."""
    states = np.arange(nfa.states, dtype=np.int32)
    loops = np.stack([states, np.full_like(states, len(nfa.charsets)), states], 1)
    return NFA(nfa.states, np.concatenate([nfa.edges, loops]), nfa.jumps, (*nfa.charsets, _ALL_MARKERS))


def _erased(nfa: NFA, first: int) -> NFA:
    """Markers from `first` on read as nothing; a set may hold them beside text that leads to the same state."""
    kept = Charset(np.array([0, TEXT_LIMIT + first], np.int32))
    silent = np.array([bool(charset - kept) for charset in nfa.charsets], bool)[nfa.edges[:, 1]]
    jumps = np.concatenate([nfa.jumps, nfa.edges[silent][:, [0, 2]]])
    return NFA(nfa.states, nfa.edges, jumps, tuple(charset & kept for charset in nfa.charsets))
