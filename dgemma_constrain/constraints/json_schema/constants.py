"""Arrays and objects that are listed (enum), when they are many: their texts as one automaton instead of one plan for each.

Each is a word over characters and *signs*: a sign stands for punctuation (see `layout`), a literal, or the zeros that may end a
whole number. The minimal automaton of these words shares what they have in common, and its signs are then spelt out. Names
stand in the order in which they are listed, since each order would be a word of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator

import numpy as np

from dgemma_constrain.automata.charset import Charset
from dgemma_constrain.automata.dfa import DFA, compile_nfa
from dgemma_constrain.automata.nfa import EPSILON, NFA, concat, literal, strings, union
from dgemma_constrain.constraints.json_schema import leaves
from dgemma_constrain.constraints.json_schema.arrays import ArrayShape
from dgemma_constrain.constraints.json_schema.exprs import NEVER
from dgemma_constrain.constraints.json_schema.layout import Layout
from dgemma_constrain.constraints.json_schema.numbers import canonical
from dgemma_constrain.constraints.json_schema.objects import ObjectShape
from dgemma_constrain.constraints.json_schema.spelling import QUOTE, fragment, respelt

if TYPE_CHECKING:
    from dgemma_constrain.constraints.json_schema.space import Space

FEW = 30  # arrays and objects that are planned one by one
WHY = f"where more than {FEW} arrays and objects are listed, their names stand in the order in which they are listed"
_ZEROS = "zeros"
_MARKS = ('"', "null", "true", "false", _ZEROS, "[", "]", "{", "}", ",", ":", "[]", "{}")
# A sign is half of a surrogate pair, which no text has: the n-th mark, so deep inside.
_FIRST, _LAST = 0xD800, 0xDFFF
_DEEPEST = (_LAST + 1 - _FIRST) // len(_MARKS)


def split(
    space: Space, shapes: tuple[ArrayShape | ObjectShape, ...]
) -> tuple[DFA | None, list[ArrayShape | ObjectShape]]:
    """The words of all shapes of just one value, if they are many, and the other shapes."""
    if len(shapes) <= FEW:
        return None, list(shapes)
    words, others = [], []
    for shape in shapes:
        value = _value(space, shape)
        if value is None or _depth(value) >= _DEEPEST:
            others.append(shape)
        else:
            words.append("".join(_word(value, 0)))
    if len(words) <= FEW:
        return None, list(shapes)
    return leaves.full(compile_nfa(strings(words))), others


def _value(space: Space, shape: ArrayShape | ObjectShape) -> list | dict | None:
    """The value of a shape that enum or const made."""
    if isinstance(shape, ArrayShape):
        parts = shape.prefix
        if shape != ArrayShape(parts, NEVER, len(parts), len(parts)) or not all(part in space.listed for part in parts):
            return None
        return [space.listed[part] for part in parts]
    members = shape.members
    if shape != ObjectShape(members, ((leaves.STRINGS, NEVER),), free=True):
        return None
    if not all(must and part in space.listed for _, part, must in members):
        return None
    return {name: space.listed[part] for name, part, _ in members}


def _word(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield from (_sign('"'), value, _sign('"'))
    elif value is None or isinstance(value, bool):
        yield _sign({None: "null", True: "true", False: "false"}[value])
    elif not isinstance(value, (list, dict)):
        text = canonical(value)
        yield text if "." in text else text + _sign(_ZEROS)
    elif not value:
        yield _sign("[]" if isinstance(value, list) else "{}", depth)
    else:
        begin, end = "[]" if isinstance(value, list) else "{}"
        for i, item in enumerate(value):
            yield _sign("," if i else begin, depth)
            if isinstance(value, dict):
                yield from (*_word(item, 0), _sign(":", depth))
                item = value[item]
            yield from _word(item, depth + 1)
        yield _sign(end, depth)


def _depth(value: Any) -> int:
    """How many arrays and objects are inside one another."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max(map(_depth, inner), default=0) + isinstance(value, (list, dict))


def _sign(mark: str, depth: int = 0) -> str:
    return chr(_FIRST + _MARKS.index(mark) + len(_MARKS) * depth)


def texts(words: DFA, layout: Layout, depth: int) -> NFA:
    """The JSON texts of words, where they stand inside of `depth` arrays and objects."""
    only_signs = Charset(np.array([_FIRST, _LAST + 1], np.int32))

    def spell(charset: Charset) -> NFA:
        signs = [divmod(sign - _FIRST, len(_MARKS)) for a, b in (charset & only_signs).pairs() for sign in range(a, b + 1)]
        parts = [_spelt(layout, _MARKS[mark], inside, depth) for inside, mark in signs]
        characters = charset - only_signs
        parts += [fragment(characters, False)] if characters else []
        return concat([EPSILON, union(parts), EPSILON])  # so that nothing leads back to its start, or on from its end

    return respelt(words, spell)


def _spelt(layout: Layout, mark: str, inside: int, depth: int) -> NFA:
    if mark == '"':
        return QUOTE
    if mark == _ZEROS:
        return union([EPSILON, leaves.ZEROS])
    if mark[0] not in "[]{},:":
        return literal(mark)
    for _ in range(inside):
        depth = layout.inner(depth)
    return layout.mark(mark, depth)
