"""Strings: lengths and patterns count decoded characters, the text holds their JSON spellings."""

from __future__ import annotations

from functools import lru_cache

from dgemma_constrain.automata.charset import ANY
from dgemma_constrain.automata.dfa import DFA, compile_nfa, intersect
from dgemma_constrain.automata.encodings import json_string
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA, repeat, symbol
from dgemma_constrain.constraints import regex
from dgemma_constrain.constraints.json_schema.nodes import String
from dgemma_constrain.errors import SchemaError


@lru_cache(maxsize=256)
def pattern(source: str, limits: Limits = Limits()) -> DFA:
    """The decoded strings in which an ECMA-262 pattern is found."""
    return compile_nfa(regex.parse(source, flavor="ecma", search=True).nfa(limits), limits)


def fits(node: String, value: str) -> bool:
    if len(value) < node.least or (node.most is not None and len(value) > node.most):
        return False
    return all(pattern(source).accepts(value) for source in node.patterns)


@lru_cache(maxsize=1)
def _character() -> NFA:
    """Every JSON spelling of one character; a few states, so thousands of copies are cheap."""
    return json_string(compile_nfa(symbol(ANY))).nfa()


def spellings(node: String, limits: Limits) -> NFA:
    """What stands between the quotes."""
    if not node.patterns:
        return repeat(_character(), node.least, node.most)
    return json_string(decoded(node, limits), limits).nfa()


def decoded(node: String, limits: Limits) -> DFA | None:
    """The strings themselves; None if nothing is said about them."""
    found = None
    for source in node.patterns:
        one = pattern(source, limits)
        found = one if found is None else intersect(found, one, limits)
    if node.least or node.most is not None:
        lengths = compile_nfa(repeat(symbol(ANY), node.least, node.most), limits)
        found = lengths if found is None else intersect(found, lengths, limits)
    if found is not None and found.is_empty:
        bounds = [k for k, given in (("minLength", node.least), ("maxLength", node.most is not None)) if given]
        others = " and ".join(["'pattern'", *map(repr, bounds)])
        raise SchemaError(f"no string fits {others} together", node.pointer, "pattern")
    return found
