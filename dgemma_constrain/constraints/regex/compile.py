"""From the tree of a pattern to an NFA over text.

Without assertions this is Thompson's construction. Assertions at the edge of the text, which is where most stand, turn
into plain languages before, around or after the rest; only what remains is resolved with markers (see `lookaround`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Mapping

from dgemma_constrain.automata.dfa import DFA, compile_nfa, intersect, subtract
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import EPSILON, NFA, concat, union
from dgemma_constrain.constraints.regex import lookaround, syntax
from dgemma_constrain.constraints.regex.syntax import (
    ANY_TEXT,
    EMPTY_TEXT,
    Alt,
    Boundary,
    Cat,
    Chars,
    Group,
    Look,
    Node,
    Repeat,
    alt,
    cat,
    is_assertion,
    walk,
)  # fmt: skip
from dgemma_constrain.constraints.regex.thompson import thompson


MAX_CHOICES = 4  # with assertions in them, that are made outside


def to_nfa(root: Node, search: bool = False, limits: Limits = Limits()) -> NFA:
    """The texts that match as a whole; with `search`, those with a match somewhere."""
    node = simplified(root)
    return _whole(_edges_cut(node) if search else node, search, limits)


def _edges_cut(node: Node) -> Node:
    """For a search, where anything may stand beside a match: of a repetition at an edge only as much as there must be."""
    if isinstance(node, Alt):
        return alt([_edges_cut(part) for part in node.parts])
    parts = list(node.parts) if isinstance(node, Cat) else [node]
    for edge in (0, -1):
        while parts and isinstance(loop := parts[edge], Repeat):
            if loop.least:
                parts[edge] = syntax.repeat(loop.body, loop.least, loop.least)
                break
            del parts[edge]
    return cat(parts)


def simplified(node: Node) -> Node:
    """Without groups, which change no language, and without assertions that hold everywhere or nowhere."""
    if isinstance(node, Group):
        return simplified(node.body)
    if isinstance(node, (Cat, Alt)):
        if all(isinstance(part, Chars) for part in node.parts):
            return node
        parts = []
        for part in node.parts:
            parts.append(simplified(part))
        return (cat if isinstance(node, Cat) else alt)(parts)
    if isinstance(node, Repeat):
        return _simplified_repeat(simplified(node.body), node.least, node.most)
    if isinstance(node, Look):
        body = simplified(node.body)
        if syntax.width(body)[0] == 0 and not _asserts(body):
            return alt(()) if node.negative else EMPTY_TEXT
        return Look(body, node.ahead, node.negative)
    return node


def _simplified_repeat(body: Node, least: int, most: int | None) -> Node:
    """Of two loops, where that is easy, one: in (a?){5000} each place can be reached in thousands of ways."""
    if isinstance(body, Repeat) and body.least == 0:  # (X{0,k}){n,m} = X{0,km}
        return syntax.repeat(body.body, 0, None if None in (body.most, most) else body.most * most)
    if isinstance(body, Repeat) and (body.least, body.most) == (1, None):  # (X+){n,m} = X{n,}
        return syntax.repeat(body.body, least, None)
    return syntax.repeat(body, least, most)


def _asserts(node: Node) -> bool:
    return any(map(is_assertion, walk(node)))


def _whole(node: Node, search: bool, limits: Limits) -> NFA:
    if not _asserts(node):
        return concat([thompson(p) for p in ((ANY_TEXT, node, ANY_TEXT) if search else (node,))])
    parts = node.parts if isinstance(node, Alt) else (node,)
    if not search:
        parts = [case for part in parts for case in _cases(part)]
    plain = [part for part in parts if not _asserts(part)]  # of one kind: with a loop at each end of each, a search has
    others = [
        _branch(part, search, limits) for part in parts if _asserts(part)
    ]  # a state for each set of what was found
    return union([*others, _whole(alt(plain), search, limits)] if plain else others)


def _branch(node: Node, search: bool, limits: Limits) -> NFA:
    """One alternative of the whole pattern, with assertions in it.

    Assertions at its left end that look back constrain only what comes before; those at its right end that look ahead,
    only what comes after. Where nothing can come before (after), the ones that look ahead (back) say something about
    the text as a whole, which is an intersection.
    """
    items = list(node.parts) if isinstance(node, Cat) else [node]
    before = _outside(_take(items, False, _looks(ahead=False)), False, search, limits)
    after = _outside(_take(items, True, _looks(ahead=True)), True, search, limits)
    if search and before is after is EPSILON:
        return _whole(cat(items), False, limits)
    conditions: list[tuple[Node, bool]] = []
    if before is EPSILON:
        for look in _take(items, False, lambda item: _seen_from_edge(item, ahead=True)):
            look = _seen_from_edge(look, ahead=True)
            conditions.append((cat([look.body, ANY_TEXT]), look.negative))
    if after is EPSILON:
        for look in _take(items, True, lambda item: _seen_from_edge(item, ahead=False)):
            look = _seen_from_edge(look, ahead=False)
            conditions.append((cat([ANY_TEXT, look.body]), look.negative))
    if before is after is EPSILON and len(items) == 1 and isinstance(items[0], Alt):
        nfa = _whole(items[0], False, limits)
    elif after is EPSILON and (split := _rest_from(items)):
        rest = _whole(cat(items[split:]), False, limits)
        nfa = concat([part for part in (before, thompson(cat(items[:split])), rest) if part is not EPSILON])
    else:

        def main(marks: Mapping[Node, int]) -> NFA:
            return concat([part for part in (before, thompson(cat(items), marks), after) if part is not EPSILON])

        nfa = lookaround.resolve(main, items, 0, limits)
    if not conditions:
        return nfa
    dfa = compile_nfa(nfa, limits)
    for condition, negative in conditions:
        dfa = (subtract if negative else intersect)(dfa, compile_nfa(_whole(condition, False, limits), limits), limits)
    return dfa.nfa()


def _cases(node: Node) -> list[Node]:
    """A whole text's pattern with the first choice in it that holds assertions made outside: (A)?B is AB or B. Their
    assertions then stand at an edge, or in a row with what they look at."""
    cases = [node]
    for _ in range(MAX_CHOICES):
        opened = []
        for case in cases:
            items = case.parts if isinstance(case, Cat) else (case,)
            k = next((k for k, item in enumerate(items) if isinstance(item, (Alt, Repeat)) and _asserts(item)), None)
            ways = () if k is None or (len(items) == 1 and isinstance(items[0], Alt)) else _ways(items[k])
            opened += [cat([*items[:k], way, *items[k + 1 :]]) for way in ways] or [case]
        if len(opened) == len(cases) or len(opened) > 2**MAX_CHOICES:
            break
        cases = opened
    return cases


def _ways(item: Node) -> tuple[Node, ...]:
    if isinstance(item, Alt):
        return item.parts
    return (item.body, EMPTY_TEXT) if (item.least, item.most) == (0, 1) else ()


def _rest_from(items: list[Node]) -> int | None:
    """Where nothing can come after these items: from which of them on they say of the rest of the text what only that
    decides, since they look ahead and what stands before asserts nothing."""
    split = next((k for k, item in enumerate(items) if is_assertion(item)), 0)
    ahead = all(
        isinstance(part, Look) and part.ahead for item in items[split:] for part in walk(item) if is_assertion(part)
    )
    return split if split and ahead and not any(map(_asserts, items[:split])) else None


def _take(items: list[Node], at_end: bool, wanted) -> tuple[Node, ...]:
    """Remove from the run of assertions at one end of `items` those that are wanted; they stand at one place, so their
    order doesn't matter."""
    order = range(len(items) - 1, -1, -1) if at_end else range(len(items))
    run = []
    for i in order:
        if not is_assertion(items[i]):
            break
        run.append(i)
    taken = [i for i in run if wanted(items[i])]
    result = tuple(items[i] for i in taken)
    for i in sorted(taken, reverse=True):
        del items[i]
    return result


def _looks(ahead: bool):
    """Look-arounds of one direction whose body never looks in the other."""

    def wanted(item: Node) -> bool:
        return isinstance(item, Look) and all(
            isinstance(part, Look) and part.ahead == ahead for part in walk(item) if is_assertion(part)
        )

    return wanted


def _seen_from_edge(item: Node, ahead: bool) -> Look | None:
    """The assertion as a look-around into the text from its edge, if it is one."""
    if isinstance(item, Boundary):  # the neighbour outside is none, so the one inside decides
        if item.negated and item.nonempty:
            return Look(Chars(~item.word), ahead, False)
        return Look(Chars(item.word), ahead, item.negated)
    return item if isinstance(item, Look) and item.ahead == ahead else None


@lru_cache(maxsize=1024)
def _outside(looks: tuple[Look, ...], after: bool, search: bool, limits: Limits) -> NFA:
    """What may stand outside the match on one side, given the assertions about it; EPSILON itself if nothing may."""
    outside = thompson(ANY_TEXT) if search else EPSILON
    if not looks:
        return outside
    dfa = compile_nfa(outside, limits)
    for look in looks:
        body = cat([look.body, ANY_TEXT] if after else [ANY_TEXT, look.body])
        found = compile_nfa(_whole(body, False, limits), limits)
        dfa = (subtract if look.negative else intersect)(dfa, found, limits)
    return EPSILON if _only_empty_text(dfa) else dfa.nfa()


def _only_empty_text(dfa: DFA) -> bool:
    return dfa.states == 1 and not dfa.is_empty and len(dfa.targets) == 0
