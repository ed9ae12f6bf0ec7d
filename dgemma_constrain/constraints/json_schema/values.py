"""The normal form: sets of JSON values, by type, closed under intersection, union and complement (see `space`).

A set of values is a `Values`: which of null, false, true; a set of numbers; one of strings; a union of `ArrayShape`s; a
union of `ObjectShape`s. What stands inside arrays and objects is not a `Values` but an `Expr`, a formula of ∧ ∨ ¬ over
places in the schema, put into normal form only when somebody asks (`Space.values`), and once. So a recursive schema is a
finite thing: its formulas are sets of places, of which there are finitely many. This is how types with union,
intersection and negation are decided (Frisch, Castagna, Benzaken, "Semantic subtyping", JACM 2008), and how Attouche,
Baazizi, Colazzo, Ghelli, Sartiani and Scherzinger do it for JSON Schema ("Witness generation for JSON Schema", VLDB 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Iterator

from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.constraints.json_schema import leaves
from dgemma_constrain.constraints.json_schema.arrays import ALL_ARRAYS, ArrayShape
from dgemma_constrain.constraints.json_schema.exprs import Expr
from dgemma_constrain.constraints.json_schema.keywords import TYPES
from dgemma_constrain.constraints.json_schema.objects import ALL_OBJECTS, ObjectShape


@dataclass(frozen=True, eq=False)
class Values:
    """A set of JSON values.

    exact: false where it holds more than the schema says, because something was relaxed
    wide: where it lacks some strings that the schema allows (of formats that are known in part, or very long ones): at least
        all of those
    listed_numbers, listed_strings: what of them enum and const list; it stays as it is where values come from a source
    lacking: whether it lacks some objects that the schema allows, since their names are only known in part
    fractions: the numbers that may be written with a point or an exponent, if not all: in draft 04, 1.0 is no integer
    """

    null: bool
    booleans: frozenset[bool]
    numbers: DFA
    strings: DFA
    arrays: tuple[ArrayShape, ...]
    objects: tuple[ObjectShape, ...]
    exact: bool = True
    wide: DFA | None = None
    listed_numbers: DFA = leaves.NONE
    listed_strings: DFA = leaves.NONE
    fractions: DFA | None = None
    lacking: bool = False

    @property
    def is_never(self) -> bool:
        return not (
            self.null
            or self.booleans
            or self.arrays
            or self.objects
            or self.numbers is not leaves.NONE
            or self.all_strings is not leaves.NONE
        )

    @property
    def all_strings(self) -> DFA:
        return self.strings if self.wide is None else self.wide

    @property
    def all_fractions(self) -> DFA:
        return self.numbers if self.fractions is None else self.fractions

    def exprs(self) -> Iterator[Expr]:
        """What stands inside."""
        for shape in (*self.arrays, *self.objects):
            yield from shape.exprs()


BOTH = frozenset({False, True})
FRACTIONAL = leaves.less(leaves.NUMBERS, leaves.INTEGERS)
EVERYTHING = Values(True, BOTH, leaves.NUMBERS, leaves.STRINGS, (ALL_ARRAYS,), (ALL_OBJECTS,))
NOTHING = Values(False, frozenset(), leaves.NONE, leaves.NONE, (), ())
LOOSE = Values(True, BOTH, leaves.NUMBERS, leaves.STRINGS, (ALL_ARRAYS,), (ALL_OBJECTS,), exact=False)


def of_type(**parts) -> Values:
    """Only what is named."""
    return Values(**{**NOTHING.__dict__, **parts})


@lru_cache(maxsize=128)
def of_types(kinds: frozenset[str]) -> Values:
    """What `type` alone says."""
    if len(kinds) == len(TYPES):
        return EVERYTHING
    return of_type(
        null="null" in kinds,
        booleans=BOTH if "boolean" in kinds else frozenset(),
        numbers=leaves.NUMBERS if "number" in kinds else leaves.INTEGERS if "integer" in kinds else leaves.NONE,
        strings=leaves.STRINGS if "string" in kinds else leaves.NONE,
        arrays=EVERYTHING.arrays if "array" in kinds else (),
        objects=EVERYTHING.objects if "object" in kinds else (),
    )
