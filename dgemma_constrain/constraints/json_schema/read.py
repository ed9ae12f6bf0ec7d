"""A schema → its formula: what every keyword of a place says, as a set of values, intersected.

Keywords of one type become one shape; those that join schemas become formulas over other places. A place is read when
its values are asked for, and once (see `values.Space`), so a reference back to where one came from is nothing special.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.constraints.json_schema import arrays, formats, keywords, leaves, objects
from dgemma_constrain.constraints.json_schema.applicators import (
    any_of,
    conditional,
    dependent,
    negation,
    one_of,
    requiring,
)
from dgemma_constrain.constraints.json_schema.arrays import ArrayShape
from dgemma_constrain.constraints.json_schema.documents import Documents, Place
from dgemma_constrain.constraints.json_schema.exprs import ANY, NEVER, Expr
from dgemma_constrain.constraints.json_schema.keywords import step
from dgemma_constrain.constraints.json_schema.literals import literals
from dgemma_constrain.constraints.json_schema.objects import ObjectShape
from dgemma_constrain.constraints.json_schema.space import Space
from dgemma_constrain.constraints.json_schema.unevaluated import unevaluated
from dgemma_constrain.constraints.json_schema.values import LOOSE, Values, of_types
from dgemma_constrain.errors import LimitExceeded, RegexError, SchemaError, UnsupportedSchema

LONG = 1_000  # characters of a string that maxLength allows more of; to count further takes as many states
_SHORTER = (1_000, 300, 100, 30)
MAX_CELLS = 200  # kinds of names, by which of the patterns of patternProperties they match
MAX_REFERENCES = 64  # followed at once; more are a circle, or read one by one


class Relaxed(NamedTuple):
    """Something in a schema that the texts need not obey, or that some are missing of."""

    pointer: str
    keyword: str
    why: str


class Reader:
    """Reads the places of a schema.

    relax: note in `relaxed` what cannot be expressed, instead of raising UnsupportedSchema
    formats: `format` and `contentEncoding` assert (with a draft's own vocabularies they are annotations)
    """

    def __init__(self, documents: Documents, relax: bool = False, formats: bool = True, dynamic: bool = False):
        self.documents, self.relax, self.formats, self.dynamic = documents, relax, formats, dynamic
        self.space = Space(self.cannot, self.narrow)
        self.relaxed: dict[Relaxed, None] = {}
        self.narrowed: dict[Relaxed, None] = {}

    def expr(self, place: Place) -> Expr:
        for _ in range(MAX_REFERENCES):  # what is a reference and nothing else is what it leads to
            keyword = _reference(place)
            if keyword is None:
                break
            place = self.documents.target(place, keyword)
        if isinstance(place.schema, bool):
            return ANY if place.schema else NEVER
        key = (id(place.schema), place.dialect, place.scope if self.dynamic else ())
        return self.space.place(key, lambda: self.says(place), place.pointer)

    def inside(self, place: Place, *steps: str | int) -> Expr:
        return self.expr(self.documents.inside(place, *steps))

    def cannot(self, pointer: str, keyword: str, why: str, way_out: str) -> Values:
        """Raise UnsupportedSchema, or note it and give everything."""
        if not self.relax:
            raise UnsupportedSchema(f"{why}; {way_out}, or relax it (on_unsupported)", pointer, keyword)
        self.relaxed[Relaxed(pointer, keyword, why)] = None
        return LOOSE

    def narrow(self, pointer: str, keyword: str, why: str) -> bool:
        """Note that texts are left out; or, to relax, that there are too many of them, and give False."""
        (self.relaxed if self.relax else self.narrowed)[Relaxed(pointer, keyword, why)] = None
        return not self.relax

    def note(self, pointer: str, keyword: str, why: str) -> None:
        """What the standard says is to be ignored is not hidden."""
        self.relaxed[Relaxed(pointer, keyword, why)] = None

    def asserted(self, place: Place) -> dict[str, Any]:
        """The keywords that count."""
        found, unknown = keywords.check(place.schema, place.dialect, place.pointer)
        if place.dialect.ref_alone and "$ref" in found:
            return {"$ref": found["$ref"]}
        for keyword, why in unknown.items():
            self.note(place.pointer + step(keyword), keyword, why)
        return found

    # One place.

    def values(self, place: Place) -> Values:
        return self.space.together(self.says(place))

    def says(self, place: Place) -> list[Values | Expr]:
        """What the keywords of a place ask for."""
        said = self.asserted(place)
        found: list[Values | Expr] = [self.typed(place, said)]
        if not said.keys().isdisjoint(_READERS):
            for keyword, read in _READERS.items():
                if keyword in said and not (keyword == "required" and self.is_declared(said)):
                    found.append(read(self, place, said, f"{place.pointer}/{keyword}"))
        return found

    @staticmethod
    def is_declared(said: dict[str, Any]) -> bool:
        """Whether what is required is declared, so that the objects of `typed` have it."""
        kinds = said.get("type", "object")
        return said.get("properties", {}).keys() >= set(said["required"]) and (kinds == "object" or "object" in kinds)

    def survey(self, root: Expr) -> None:
        """Read all places under one. Raises what is wrong with any of them."""
        agenda = {root: None}
        todo = [root]
        for expr in todo:
            parts = self.space.said(expr) if expr.op == "place" else expr.parts
            for part in parts:
                for inner in (part,) if isinstance(part, Expr) else part.exprs():
                    if inner not in agenda:
                        agenda[inner] = None
                        todo.append(inner)

    def typed(self, place: Place, said: dict[str, Any]) -> Values:
        """What `type` and the keywords of single types say."""
        listed = said.get("type", keywords.TYPES)
        kinds = frozenset((listed,) if isinstance(listed, str) else listed)
        found = of_types(kinds)
        changes: dict[str, Any] = {}
        if found.numbers is not leaves.NONE and not _NUMBER.isdisjoint(said):
            changes["numbers"] = leaves.meet(self.numbers(place, said), found.numbers)
        if place.dialect.year == 4 and "integer" in kinds and "number" not in kinds:
            changes["fractions"] = leaves.NONE
        if "string" in kinds and not _STRING.isdisjoint(said):
            changes["strings"], changes["wide"] = self.strings(place, said)
        if "array" in kinds and not _ARRAY.isdisjoint(said):
            changes["arrays"] = tuple(self.array(place, said))
        if "object" in kinds and not _OBJECT.isdisjoint(said):
            changes["objects"] = tuple(self.object(place, said))
            if "propertyNames" in said:
                names = self.space.values(self.inside(place, "propertyNames"))
                changes["lacking"] = names.all_strings is not names.strings
        return Values(**{**found.__dict__, **changes}) if changes else found

    def numbers(self, place: Place, said: dict[str, Any]) -> DFA:
        bounds = {_BOUNDS[name]: said[name] for name in _BOUNDS if name in said}
        for exclusive, plain, name in (("above", "least", "exclusiveMinimum"), ("below", "most", "exclusiveMaximum")):
            if isinstance(bounds.get(exclusive), bool):  # of draft 04: whether the other bound is exclusive
                if place.dialect.year > 4 and not place.dialect.guessed:
                    raise SchemaError(
                        f"{name!r} must be a number; true and false belong to draft 04", f"{place.pointer}/{name}", name
                    )
                if bounds.pop(exclusive) and plain in bounds:
                    bounds[exclusive] = bounds.pop(plain)
            elif exclusive in bounds and place.dialect.year == 4:
                raise SchemaError(f"{name!r} must be true or false in draft 04", f"{place.pointer}/{name}", name)
        with self.growing(place, next((name for name in (*_BOUNDS, "multipleOf") if name in said), "")):
            found = leaves.interval(frozenset(bounds.items())) if bounds else leaves.NUMBERS
            if "multipleOf" in said:
                found = leaves.multiples(said["multipleOf"], found)
        return found

    def strings(self, place: Place, said: dict[str, Any]) -> tuple[DFA, DFA | None]:
        """The strings, and at least all of them where these are not all."""
        found, wide = leaves.STRINGS, None
        if "minLength" in said or "maxLength" in said:
            most = said.get("maxLength")
            least = int(said.get("minLength", 0))
            if most is not None and least > most:
                return leaves.NONE, None
            with self.growing(place, "maxLength" if most is not None else "minLength"):
                if most is not None and most > LONG >= least:
                    why = f"strings of more than {LONG:,} characters are left out"
                    self.narrowed[Relaxed(f"{place.pointer}/maxLength", "maxLength", why)] = None
                    most, wide = LONG, leaves.lengths(least, None)
                found = leaves.lengths(least, None if most is None else int(most))
        if "pattern" in said:
            with self.growing(place, "pattern"):
                language, whole = self.pattern(said["pattern"], place.pointer + "/pattern", "pattern")
                if not whole:
                    why = "strings in which something stands before what the pattern finds are left out"
                    self.narrowed[Relaxed(f"{place.pointer}/pattern", "pattern", why)] = None
                    wide = found if wide is None else wide
                elif wide is not None:
                    wide = leaves.meet_of(wide, language) or language
                both = leaves.meet_of(found, language)
                if both is None:
                    both, wide = self.shorter(place, said, language), language if whole else wide
                found = both
        for keyword in ("format", "contentEncoding"):
            if keyword in said and (self.formats or (keyword == "format" and place.dialect.formats)):
                language = leaves.named(keyword, said[keyword], place.dialect.year)
                if language is None:
                    self.note(f"{place.pointer}/{keyword}", keyword, f"{said[keyword]!r:.40} is not known")
                    continue
                if said[keyword] in formats.LEFT_OUT:
                    why = f"of {said[keyword]!r} these are left out: {formats.LEFT_OUT[said[keyword]]}"
                    self.narrowed[Relaxed(f"{place.pointer}/{keyword}", keyword, why)] = None
                    most = formats.at_most(said[keyword])
                    wide = found if wide is None else wide
                    wide = wide if most is None else leaves.meet(wide, leaves.full(most))
                elif wide is not None:
                    wide = leaves.meet(wide, language)
                with self.growing(place, keyword):
                    found = leaves.meet(found, language)
        return found, wide

    def shorter(self, place: Place, said: dict[str, Any], language: DFA) -> DFA:
        """The strings of a pattern that are short enough to be counted. Raises LimitExceeded if there are none."""
        least = int(said.get("minLength", 0))
        for most in _SHORTER:
            found = leaves.meet_of(leaves.lengths(least, most), language) if least <= most else None
            if found not in (None, leaves.NONE):
                why = f"strings of more than {most:,} characters are left out, to be counted along this pattern"
                self.narrowed[Relaxed(f"{place.pointer}/maxLength", "maxLength", why)] = None
                return found
        raise LimitExceeded(
            "counting the characters of this pattern needs too many states; loosen maxLength or the pattern"
        )

    def pattern(self, source: str, pointer: str, keyword: str) -> tuple[DFA, bool]:
        """The strings of a pattern, and whether these are all."""
        try:
            return leaves.pattern(source)
        except RegexError as error:
            raise SchemaError(f"{keyword!r} cannot be read: {error}", pointer, keyword) from None

    def names(self, source: str, pointer: str) -> DFA:
        """The names of patternProperties: all of them, since the others are other names."""
        found, whole = self.pattern(source, pointer, "patternProperties")
        if not whole:
            raise LimitExceeded(f"the names of this pattern need too many states; anchor it with ^ (at {pointer})")
        return found

    def growing(self, place: Place, keyword: str) -> _Growing:
        return _Growing(f"{place.pointer}/{keyword}")

    # Arrays.

    def array(self, place: Place, said: dict[str, Any]) -> list[ArrayShape]:
        tuples, others = ("prefixItems", "items") if place.dialect.year == 2020 else ("items", "additionalItems")
        prefix: list[Expr] = []
        rest: Expr = ANY
        if isinstance(said.get(tuples), list):
            prefix = [self.inside(place, tuples, i) for i in range(len(said[tuples]))]
            if others in said:
                rest = self.inside(place, others)
        elif "items" in said:
            if isinstance(said["items"], list):
                raise SchemaError(
                    "'items' must be a schema in this draft; write 'prefixItems', or name an older draft in '$schema'",
                    f"{place.pointer}/items",
                    "items",
                )
            rest = self.inside(place, "items")
        counts = ()
        if "contains" in said:
            most = said.get("maxContains")
            least = int(said.get("minContains", 1))
            counts = ((0, self.inside(place, "contains"), least, None if most is None else int(most)),)
        most = said.get("maxItems")
        shape = ArrayShape(
            tuple(prefix),
            rest,
            int(said.get("minItems", 0)),
            None if most is None else int(most),
            counts,
            said.get("uniqueItems", False),
        )
        return arrays.shapes(self.space, shape)

    # Objects.

    def object(self, place: Place, said: dict[str, Any]) -> list[ObjectShape]:
        patterns = []
        for source in said.get("patternProperties", {}):
            at = f"{place.pointer}/patternProperties{step(source)}"
            with self.growing(place, "patternProperties"):
                names = self.names(source, at)
            patterns.append((names, self.inside(place, "patternProperties", source)))
        others = self.inside(place, "additionalProperties") if "additionalProperties" in said else ANY
        allowed = leaves.STRINGS
        if "propertyNames" in said:
            allowed = self.space.values(self.inside(place, "propertyNames")).strings
        cells = ((allowed, others),)
        if patterns or allowed is not leaves.STRINGS:
            with self.growing(place, "patternProperties"):
                cells = self.cells(patterns, others, allowed)
        members, required = [], frozenset(said.get("required", ()))
        for name in said.get("properties", {}):
            parts = [self.inside(place, "properties", name)]
            parts += [part for names, part in patterns if names.accepts(name)]
            if allowed is not leaves.STRINGS and not allowed.accepts(name):
                parts = [NEVER]
            members.append((name, self.space.both(*parts), name in required))
        most = said.get("maxProperties")
        shape = ObjectShape(
            tuple(members), cells, (), int(said.get("minProperties", 0)), None if most is None else int(most)
        )
        return objects.shapes(self.space, shape)

    def cells(self, patterns: list[tuple[DFA, Expr]], others: Expr, allowed: DFA) -> tuple[tuple[DFA, Expr], ...]:
        """Names by the patterns that they match; those that match none hold `others`."""
        cells: dict[tuple[Expr, ...], DFA] = {(): allowed}
        for names, part in patterns:
            split: dict[tuple[Expr, ...], DFA] = {}
            for parts, cell in cells.items():
                for key, some in (((*parts, part), leaves.meet(cell, names)), (parts, leaves.less(cell, names))):
                    if some is not leaves.NONE:
                        split[key] = leaves.join(split.get(key, leaves.NONE), some)
            cells = split
            if len(cells) > MAX_CELLS:
                raise LimitExceeded(
                    f"the names that match these patterns fall into more than {MAX_CELLS} kinds; anchor the patterns with ^ and $ "
                    "so that fewer of them match the same name"
                )
        found: dict[Expr, DFA] = {}
        for parts, cell in cells.items():
            part = self.space.both(*parts) if parts else others
            found[part] = leaves.join(found.get(part, leaves.NONE), cell)
        return objects.cells_of(tuple((cell, part) for part, cell in found.items() if cell is not leaves.NONE), NEVER)

    # What joins schemas.

    def target(self, place: Place, keyword: str) -> Expr:
        return self.expr(self.documents.target(place, keyword))

    def listed(self, place: Place, keyword: str) -> list[Expr]:
        return [self.inside(place, keyword, i) for i in range(len(place.schema[keyword]))]


def _reference(place: Place) -> str | None:
    """The keyword of a place that is a reference and nothing else."""
    schema = place.schema
    if not isinstance(schema, dict):
        return None
    if place.dialect.ref_alone:
        return "$ref" if isinstance(schema.get("$ref"), str) else None
    for keyword in ("$ref", "$recursiveRef" if place.dialect.year == 2019 else "$dynamicRef"):
        if (
            isinstance(schema.get(keyword), str)
            and len(schema.keys() - keywords.ANNOTATIONS - keywords.PLACES.keys()) == 1
        ):
            return keyword
    return None


class _Growing:
    """Says at which keyword a limit was exceeded."""

    def __init__(self, pointer: str):
        self.pointer = pointer

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, trace) -> None:
        if kind is LimitExceeded and "(at " not in str(error):
            raise LimitExceeded(f"{error} (at {self.pointer})") from None


_BOUNDS = {"minimum": "least", "maximum": "most", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}
_NUMBER = frozenset((*_BOUNDS, "multipleOf"))
_STRING = frozenset(("minLength", "maxLength", "pattern", "format", "contentEncoding"))
_ARRAY = frozenset(("items", "prefixItems", "additionalItems", "contains", "minItems", "maxItems", "uniqueItems"))
_OBJECT = frozenset(
    """properties patternProperties additionalProperties propertyNames minProperties maxProperties""".split()
)

_READERS: dict[str, Callable[[Reader, Place, dict[str, Any], str], Values | Expr]] = {
    "const": lambda r, place, said, at: literals(r.space, [said["const"]]),
    "enum": lambda r, place, said, at: literals(r.space, said["enum"]),
    "$ref": lambda r, place, said, at: r.target(place, "$ref"),
    "$dynamicRef": lambda r, place, said, at: r.target(place, "$dynamicRef"),
    "$recursiveRef": lambda r, place, said, at: r.target(place, "$recursiveRef"),
    "allOf": lambda r, place, said, at: r.space.both(*r.listed(place, "allOf")),
    "required": lambda r, place, said, at: requiring(said["required"]),
    "dependentRequired": dependent,
    "anyOf": any_of,
    "oneOf": one_of,
    "not": negation,
    "if": conditional,
    "dependentSchemas": dependent,
    "dependencies": dependent,
    "unevaluatedItems": unevaluated,
    "unevaluatedProperties": unevaluated,
}
