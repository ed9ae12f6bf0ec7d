"""What a pattern matches at the beginning of a longer text: the longest text in its language, unless it says otherwise.

`".*?"i?` says otherwise: what comes before the end of its lazy part is to be as short as possible, the `i?` is not. So
each alternative of a pattern with lazy quantifiers is cut in two, a *head* that ends as soon as it can and a *tail* of
what may follow it and need not, as long as possible. (`re` takes the first alternative that matches; here that is left
to the lexer, which takes the longest.)
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.charset import ANY, Charset
from dgemma_constrain.automata.dfa import DFA, compile_nfa, minimal
from dgemma_constrain.automata.kernels import sources
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA, concat, star, symbol, union
from dgemma_constrain.constraints.regex.compile import simplified, to_nfa
from dgemma_constrain.constraints.regex.lookaround import resolve
from dgemma_constrain.constraints.regex.syntax import (
    Alt,
    Cat,
    Group,
    Look,
    Node,
    Repeat,
    cat,
    children,
    is_assertion,
    repeat,
    walk,
    width,
)
from dgemma_constrain.constraints.regex.thompson import thompson


def own_texts(root: Node, limits: Limits = Limits()) -> DFA:
    """The texts that the pattern can be found to match; the longest one that a text begins with is its match there."""
    if not is_lazy(root):
        return compile_nfa(to_nfa(root, limits=limits), limits)
    found = []
    for alternative in _alternatives(root):
        head, tail = _head_and_tail(alternative)
        if is_lazy(head):
            shortest = _shortest(compile_nfa(to_nfa(head, limits=limits), limits))
            found.append(concat([shortest.nfa(), to_nfa(tail, limits=limits)]))
        else:
            found.append(to_nfa(alternative, limits=limits))
    return compile_nfa(union(found), limits)


def looks_outside(root: Node, limits: Limits = Limits()) -> bool:
    """Whether an assertion in the pattern may depend on the text around what it matches."""
    heads = [_head_and_tail(a)[0] if is_lazy(a) else a for a in _alternatives(root)]
    return any(_depends_on_context(head, limits) for head in heads)


def is_lazy(node: Node) -> bool:
    """Whether there is a lazy quantifier in it that has a choice (one in a look-around has none)."""
    if isinstance(node, Look):
        return False
    return (isinstance(node, Repeat) and node.lazy and node.least != node.most) or any(map(is_lazy, children(node)))


def _alternatives(node: Node) -> list[Node]:
    if isinstance(node, Group):
        return _alternatives(node.body)
    return [a for part in node.parts for a in _alternatives(part)] if isinstance(node, Alt) else [node]


def _head_and_tail(node: Node) -> tuple[Node, Node]:
    """The tail has no assertions, no lazy quantifiers, and may be empty."""
    parts = list(node.parts) if isinstance(node, Cat) else [node]
    tail: list[Node] = []
    while parts:
        last = parts[-1]
        if is_lazy(last) or any(map(is_assertion, walk(last))):
            break
        if width(last)[0] > 0:
            if isinstance(last, Repeat) and last.least != last.most:
                parts[-1] = repeat(last.body, last.least, last.least)
                more = None if last.most is None else last.most - last.least
                tail.insert(0, repeat(last.body, 0, more))
            break
        tail.insert(0, parts.pop())
    return cat(parts), cat(tail)


def _shortest(dfa: DFA) -> DFA:
    """The texts that do not begin with a shorter one: no way leads on from an accepting state."""
    kept = ~dfa.accept[sources(dfa.offsets)]
    offsets = np.concatenate([[0], np.cumsum(np.where(dfa.accept, 0, np.diff(dfa.offsets)))])
    return minimal(dfa.alphabet, offsets, dfa.symbols[kept], dfa.targets[kept], dfa.accept)


def _depends_on_context(node: Node, limits: Limits) -> bool:
    """Whether the pieces of longer texts that match are not just those that match alone.

    Two markers, which no assertion sees, cut such a piece out of a text.
    """
    root = simplified(node)
    if not any(map(is_assertion, walk(root))):
        return False
    text, opened, closed = star(symbol(ANY)), symbol(Charset.marker(0)), symbol(Charset.marker(1))

    def piece(nfa: NFA) -> NFA:
        return concat([text, opened, nfa, closed, text])

    def inside(marks: dict[Node, int]) -> NFA:
        return piece(thompson(root, marks))

    in_context = compile_nfa(resolve(inside, [root], 2, limits), limits)
    return not in_context.same_language(compile_nfa(piece(to_nfa(root, limits=limits)), limits))
