"""Narrowed nodes → the JSON texts of their values, as an NFA over characters.

object  {  ↦  name : value  ↦  ,  ↦  …  ↦  }     one chain, in schema order, with two joints before each name
array   [ item (, item)* ]                        the item minimised before it is copied
string  " spellings "                             see `strings`
number  -?(0|[1-9][0-9]*) and its fraction and exponent
"""

from __future__ import annotations

from dgemma_constrain.automata.charset import Charset
from dgemma_constrain.automata.dfa import compile_nfa
from dgemma_constrain.automata.graph import graph
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import EPSILON, NFA, NOTHING, concat, literal, repeat, star, symbol, union
from dgemma_constrain.constraints.json_schema import numbers, strings
from dgemma_constrain.constraints.json_schema.extraction import Source
from dgemma_constrain.constraints.json_schema.layout import Layout, fragment
from dgemma_constrain.constraints.json_schema.nodes import (
    AnyOf,
    Array,
    Boolean,
    Literals,
    Node,
    Null,
    Number,
    Object,
    String,
)
from dgemma_constrain.errors import LimitExceeded

_DIGIT = symbol(Charset.of("0123456789"))
_DIGITS = repeat(_DIGIT, 1, None)
_OPTIONAL_MINUS = union([EPSILON, literal("-")])
_INTEGER = concat([_OPTIONAL_MINUS, union([literal("0"), concat([symbol(Charset.of("123456789")), star(_DIGIT)])])])
_FRACTION = concat([literal("."), _DIGITS])
_EXPONENT = concat([symbol(Charset.of("eE")), union([EPSILON, symbol(Charset.of("+-"))]), _DIGITS])
_NUMBER = concat([_INTEGER, union([EPSILON, _FRACTION]), union([EPSILON, _EXPONENT])])


def build(node: Node, whitespace: str = "any", limits: Limits = Limits(), source: Source | None = None) -> NFA:
    """The texts of a narrowed node's values; with a source, its free strings and numbers come from there."""
    return _Writer(Layout(whitespace), limits, source).write(node, 0)


def missing(node: Node, source: Source, limits: Limits = Limits()) -> list[str]:
    """Where the node asks for strings or numbers that the source doesn't have: JSON pointers into the schema."""
    writer = _Writer(Layout("compact"), limits, source)
    writer.write(node, 0)
    kinds = (String, Number)
    return [part.pointer or "/" for (part, _), nfa in writer.done.items() if isinstance(part, kinds) and nfa is NOTHING]


class _Writer:
    """Writes each node once per depth. Sizes are checked before anything is copied."""

    def __init__(self, layout: Layout, limits: Limits, source: Source | None):
        self.layout, self.limits, self.source = layout, limits, source
        self.done: dict[tuple[Node, int], NFA] = {}

    def write(self, node: Node, depth: int) -> NFA:
        if (node, depth) not in self.done:
            self.done[node, depth] = _WRITERS[type(node)](self, node, depth)
        return self.done[node, depth]

    def check(self, states: int, node: Node) -> None:
        if states > self.limits.states:
            raise LimitExceeded(
                f"the texts of this part need more than {self.limits.states:,} states (at {node.pointer or '/'}); "
                "lower maxItems or maxLength, list fewer values, use fewer references, or raise Limits(states=…)"
            )

    def any_of(self, node: AnyOf, depth: int) -> NFA:
        parts = [self.write(choice, depth) for choice in node.choices]
        self.check(sum(part.states for part in parts), node)
        return union(parts)

    def string(self, node: String, depth: int) -> NFA:
        self.check(max(node.least, node.most or 0), node)
        try:
            if self.source is not None:
                inside = self.source.strings(strings.decoded(node, self.limits), self.limits)
                if inside is NOTHING:
                    return NOTHING
            else:
                inside = strings.spellings(node, self.limits)
        except LimitExceeded as error:
            raise LimitExceeded(f"{error} (at {node.pointer or '/'})") from None
        return concat([literal('"'), inside, literal('"')])

    def number(self, node: Number, depth: int) -> NFA:
        if self.source is not None:
            return self.source.numbers(numbers.integers() if node.integer else numbers.everything())
        return _INTEGER if node.integer else _NUMBER

    def literals(self, node: Literals, depth: int) -> NFA:
        texts = [self.layout.value(value, depth) for value in node.values]
        nfa = fragment(texts)
        self.check(nfa.states, node)
        return nfa

    def array(self, node: Array, depth: int) -> NFA:
        layout = self.layout
        empty = fragment([layout.empty("[]")])
        if node.most == 0:
            return empty
        item, comma = self.write(node.items, layout.inner(depth)), fragment([layout.comma(depth)])
        copies = max(node.least, node.most or 0)
        if copies > 2:
            item = compile_nfa(item, self.limits).nfa()
        self.check(copies * (item.states + comma.states), node)
        fewest = max(node.least, 1)
        if node.most is None:  # a loop, not a copy and a loop: arrays in arrays would double at every level
            before, after = repeat(concat([item, comma]), fewest - 1, fewest - 1), EPSILON
        else:
            before, after = EPSILON, repeat(concat([comma, item]), fewest - 1, node.most - 1)
        arcs = [
            (0, concat([fragment([layout.open("[", depth)]), before]), 1),
            (1, concat([item, after]), 2),
            (2, fragment([layout.close("]", depth)]), 3),
        ]
        if node.most is None:
            arcs.append((2, comma, 1))
        if not node.least:
            arcs.append((0, empty, 3))
        return graph(4, arcs)

    def object(self, node: Object, depth: int) -> NFA:
        """A chain with two joints before each name: `first[i]`, nothing written yet, and `later[i]`, a comma is due.

        first[i] ──────→ at[i] ── "name": value ──→ later[i+1]      and, past an optional name,
        later[i] ── , ─→ at[i]                                      first[i] → first[i+1], later[i] → later[i+1]
        """
        layout, n = self.layout, len(node.properties)
        start, end = 0, 3 * n + 3
        first, later, at = (lambda i: 1 + 3 * i), (lambda i: 2 + 3 * i), (lambda i: 3 + 3 * i)
        opening, comma, closing, empty = (
            fragment([text])
            for text in (layout.open("{", depth), layout.comma(depth), layout.close("}", depth), layout.empty("{}"))
        )
        arcs = [(start, opening, first(0)), (later(n), closing, end)]
        size = 0
        for i, (name, member) in enumerate(node.properties):
            value = self.write(member, layout.inner(depth))
            size += value.states + len(name) + 10
            self.check(size, node)
            arcs.append((at(i), concat([fragment([layout.name(name)]), value]), later(i + 1)))
            arcs.append((first(i), EPSILON, at(i)))
            arcs.append((later(i), comma, at(i)))
            if name not in node.required:
                arcs += [(first(i), EPSILON, first(i + 1)), (later(i), EPSILON, later(i + 1))]
        if not node.required:
            arcs.append((start, empty, end))
        return graph(end + 1, arcs)


_WRITERS = {
    AnyOf: _Writer.any_of,
    Null: lambda writer, node, depth: literal("null"),
    Boolean: lambda writer, node, depth: fragment(["true", "false"]),
    Number: _Writer.number,
    String: _Writer.string,
    Literals: _Writer.literals,
    Array: _Writer.array,
    Object: _Writer.object,
}
