"""JSON Schema → the JSON texts of the values that satisfy it. Drafts 2020-12 to 04, chosen by `$schema`.

    source → documents → read ⇄ values → plan → write → texts, an automaton over characters
    JSON      places,     what    normal  order   the
    text      $ref        each    form:   of      spelling
                          says    sets    names

Reading order: source, keywords (what there is), documents (places, references), exprs, values, space (the algebra; start here),
arrays, objects, leaves (strings and numbers), numbers, formats, literals, read, unevaluated, conflict, membership; then
plan, plan_arrays, alike, distinct, spelling, number_spellings, layout, constants, extraction, write; and culprit.

*Normal form.* A set of JSON values is, type by type: a DFA of strings (over decoded characters), a DFA of numbers (over
canonical decimals), a union of array shapes, a union of object shapes. Shapes hold formulas over places of the schema for
what stands inside, and those are put into normal form when asked for, once: so the sets close under ∧ ∨ ¬, recursion is
nothing special, and `not`, `if`, `oneOf`, `dependentSchemas` and unevaluated names are the algebra's work.

*Texts.* Every JSON text of every value, but for this:

- Names stand in the order in which the schema declares them (properties first, then those that `required` and others
  name), then all others; `property_order="any"` frees up to 8 declared ones, as do the objects of enum and const, unless more than 30 are listed.
- Where something contains itself (a recursive `$ref`, any JSON value) it does so through up to `depth()` levels of arrays
  and objects; `Schema.accepts` goes on to any depth, unless one was asked for.
- A declared name is never written twice, in whatever spelling. Another one may be, and a parser keeps the last; what it
  keeps is valid (see `plan`).
- Exponents of numbers are those that a double can hold (see `leaves`), and of those that bounds leave, some near zero
  (see `number_spellings`).
- Formats in `formats.LEFT_OUT` are known in part; schemas with more than 1,000 characters in names and listed strings, or
  many more as they are written (100 e-mail addresses), leave out escapes such as `\\u0061` for a. `Schema.narrowed` lists both.
- Strings of more than 1,000 characters, where `maxLength` allows them, and of some patterns strings that are long or do not
  begin with a match (see `leaves.pattern`). `Schema.narrowed` lists them.
- Of arrays and objects whose items or names must all be different, a part (see `distinct`); `Schema.accepts` knows them all (see `membership`).

*Not expressed*, so UnsupportedSchema (or relaxed, and checked in the end): what would leave out all texts so; the negation of
names that are known in part. LimitExceeded, with the place, for what grows too large: by `dfa` and `depth`, where it is the
normal form or the texts, since `Schema.accepts` needs neither; at once, where it is a string or a number.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dgemma_constrain.automata.dfa import DFA, compile_nfa
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA, NOTHING
from dgemma_constrain.constraints.json_schema import constants, keywords, leaves
from dgemma_constrain.constraints.json_schema.conflict import conflict
from dgemma_constrain.constraints.json_schema.culprit import Wrong, culprit
from dgemma_constrain.constraints.json_schema.documents import Documents
from dgemma_constrain.constraints.json_schema.exprs import Expr, name_of
from dgemma_constrain.constraints.json_schema.extraction import Source
from dgemma_constrain.constraints.json_schema.layout import Layout
from dgemma_constrain.constraints.json_schema.membership import is_text_of
from dgemma_constrain.constraints.json_schema.read import Reader, Relaxed
from dgemma_constrain.constraints.json_schema.source import instance, read
from dgemma_constrain.constraints.json_schema.space import TooDeep
from dgemma_constrain.constraints.json_schema.write import ANYTHING, Outline, Writer
from dgemma_constrain.errors import ConstraintError, LimitExceeded, SchemaError

if TYPE_CHECKING:
    from referencing import Registry

STATES = (
    2_400  # with the depth an automaton grows; by no more than so much, before it is minimal, if no depth is asked for
)
USUAL = 3  # that deep, anyhow, if it takes no more than ENOUGH states
ENOUGH = 60_000
ANY_STATES = 100  # of any JSON value, doubled at each level
DEEPEST = 12
COUNTED = ("uniqueItems", "minProperties")  # what an automaton can tell of some values only


@dataclass(frozen=True)
class Schema:
    """A schema that was read. Equal if its JSON text and options are; picklable if its type and registry are."""

    source: str  # the schema, as JSON text
    whitespace: str = "any"
    indent: int = 2
    max_depth: int | None = None
    property_order: str = "schema"
    on_unsupported: str = "error"
    formats: bool = True
    kind: Any = None  # the Python type it was made from
    registry: Any = field(default=None, hash=False)  # a Registry says that it can be hashed, but its schemas cannot
    values_from: Source | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    @property
    def outline(self) -> Outline:
        """The schema's normal form, made once. Raises LimitExceeded."""
        outline = self._read()[0]
        if isinstance(outline, str):
            raise LimitExceeded(outline)
        return outline

    @property
    def relaxed(self) -> tuple[Relaxed, ...]:
        """What the texts need not obey: what `on_unsupported="relax"` loosened, and what the standard says asserts
        nothing (unknown keywords and formats)."""
        return tuple(self._read()[1].relaxed)

    @property
    def narrowed(self) -> tuple[Relaxed, ...]:
        """Of what some texts that the schema allows are left out: formats that are known in part, and in large schemas
        escapes of plain ASCII characters in names and strings (`\\u0061` for a), exponents of listed numbers, and orders of
        names in listed objects."""
        outline, reader = self._read()
        if isinstance(outline, str):
            return tuple(reader.narrowed)
        listed = [Relaxed(f"{name_of(expr)}/enum", "enum", constants.WHY) for expr in outline.constants]
        return (*reader.narrowed, *listed, *([] if outline.escapes else [_NO_ESCAPES]))

    def _read(self) -> tuple[Outline | str, Reader]:
        """The normal form, or why it is too large: then `accepts` asks its parts."""
        if "_outline" not in self.__dict__:
            document = json.loads(self.source, parse_float=Decimal)
            dynamic = self.registry is not None or any(word in self.source for word in _DYNAMIC)
            documents = Documents(document, self.registry)
            reader = Reader(documents, self.on_unsupported == "relax", self.formats, dynamic)
            try:
                root = reader.expr(documents.root)
                try:
                    outline = self._outlined(reader, root)
                except TooDeep:
                    raise
                except LimitExceeded as error:
                    reader.survey(root)
                    outline = str(error)
            except RecursionError:
                raise LimitExceeded("the schema has too many schemas inside one another; flatten it") from None
            self.__dict__["_root"] = root
            self.__dict__["_outline"] = outline, reader
        return self.__dict__["_outline"]

    def _outlined(self, reader: Reader, root: Expr) -> Outline:
        if reader.space.values(root).is_never:
            raise conflict(reader, reader.documents.root)
        outline = Outline(reader.space, root, self.property_order == "any")
        if outline.fits_nothing():
            counted = [note for note in reader.narrowed if note.keyword in COUNTED]
            if counted and not Outline(reader.space, root, loose=True).fits_nothing():
                reader.cannot(*counted[0], "drop it and check the value afterwards")
            if outline.contradicts():
                raise conflict(reader, reader.documents.root)
            if reader.narrowed:
                reader.cannot(*next(iter(reader.narrowed)), "of the strings that are left none fits")
            raise SchemaError("no value fits this schema: what it requires contains itself without end")
        return outline

    def accepts(self, text: str, limits: Limits = Limits()) -> bool:
        """Whether a text is one of a value that satisfies the schema: of those that `dfa` holds, or of those that it lacks
        since an automaton reaches a depth only, or cannot tell names or items apart (see `membership`). Raises
        LimitExceeded."""
        space, any_order = self._read()[1].space, self.property_order == "any"
        if not is_text_of(space, self.__dict__["_root"], text, any_order) or not self._layout.fits(text):
            return False
        if self.values_from is None and (self.max_depth is None or not self.outline.is_recursive):
            return True
        return self._loose(limits).accepts(text)

    def wrong(self, text: str) -> Wrong:
        """Which value of a text does not fit, by the parts of the schema. Raises LimitExceeded."""
        return culprit(self._read()[1].space, self.__dict__["_root"], text, self.property_order == "any")

    def _loose(self, limits: Limits) -> DFA:
        """What the source holds, and what is not nested more deeply than was asked for."""
        outline, reader = self._read()
        if not any(note.keyword in COUNTED for note in reader.narrowed):
            return self.dfa(limits)
        if "_loosened" not in self.__dict__:
            loose = Outline(outline.space, outline.root, outline.any_order, loose=True)
            writer = Writer(loose, self._layout, limits, NOTHING, self.values_from)
            self.__dict__["_loosened"] = compile_nfa(writer.text(self.depth(limits) or 0), limits)
        return self.__dict__["_loosened"]

    def nfa(self, limits: Limits = Limits()) -> NFA:
        """The texts, over characters. Raises LimitExceeded."""
        return self._unfolded(limits)[1].nfa()

    def dfa(self, limits: Limits = Limits()) -> DFA:
        """The same, minimal. Raises LimitExceeded."""
        return self._unfolded(limits)[1]

    def depth(self, limits: Limits = Limits()) -> int | None:
        """Through how many levels of arrays and objects what contains itself may do so in these texts; None if nothing
        does, so that nothing is left out."""
        return self._unfolded(limits)[0]

    def wider(self, limits: Limits = Limits()) -> NFA:
        """At least all texts: what is nested more deeply than `depth` may be anything."""
        depth = self.depth(limits)
        return self._writer(limits, ANYTHING).text(depth or 0)

    def largest(self, limits: Limits = Limits()) -> str:
        """A JSON pointer to the part that takes the most states: the smallest one that takes an eighth of all."""
        writer = self._writer(limits)
        return name_of(writer.largest(writer.text(self.depth(limits) or 0))) or "/"

    def missing(self, limits: Limits = Limits()) -> list[str]:
        """If there is no text, where numbers and strings are wanted that `values_from` doesn't have: JSON pointers."""
        writer = self._writer(limits)
        return list(writer.missing) if writer.fits_nothing() else []

    def _writer(self, limits: Limits, trap: NFA = NOTHING) -> Writer:
        return Writer(self.outline, self._layout, limits, trap, self.values_from)

    @property
    def _layout(self) -> Layout:
        return Layout(self.whitespace, self.indent)

    def _unfolded(self, limits: Limits) -> tuple[int | None, DFA]:
        if "_texts" not in self.__dict__:
            writer = self._writer(limits)
            if self.values_from is not None and writer.fits_nothing():
                made = None, leaves.NONE
            elif not self.outline.is_recursive:
                made = None, writer.dfa(0)
            elif self.max_depth is not None:
                made = self.max_depth, writer.dfa(self.max_depth)
            else:
                made = self._deepest(writer, limits)
            self.__dict__["_texts"] = made
        return self.__dict__["_texts"]

    def _deepest(self, writer: Writer, limits: Limits) -> tuple[int, DFA]:
        """The first depth that has any text, or as many more as take no more than some STATES states (or ENOUGH, if they
        are few)."""
        copies = self.outline.count_any()
        if copies is not None and self.values_from is None:
            sizes = [copies * ANY_STATES * 2**depth for depth in range(DEEPEST)]
            usual = sum(size <= ENOUGH for size in sizes[: USUAL + 1])
            depth = max(usual, sum(size <= STATES for size in sizes), 1) - 1
            return depth, writer.dfa(depth)
        made = [writer.text(0)]
        most = max(made[0].states + STATES, ENOUGH)
        writer.bound(min(2 * most, limits.states))
        while len(made) <= DEEPEST:
            if made[-1].states > made[0].states + STATES and len(made) > 2 * USUAL:
                break  # so will the next one be, which may be twice as large
            try:
                nfa = writer.text(len(made))
            except LimitExceeded:
                break
            if nfa.states > most:
                break
            if nfa.states > made[0].states + STATES and len(made) > 2 * USUAL:  # an object in an array: two levels
                break
            made.append(nfa)
        writer.bound()
        for depth in range(len(made) - 1, DEEPEST + 1):
            dfa = writer.dfa(depth)
            if not dfa.is_empty:
                return depth, dfa
        raise LimitExceeded(f"the values of this schema contain themselves more than {DEEPEST} times; set max_depth")

    def value(self, text: str) -> Any:
        """A text's value: parsed JSON, or an instance of the type that the schema was made from."""
        if any(relaxed.keyword in keywords.ASSERTIONS for relaxed in self.relaxed):
            self._validate(text)
        if self.kind is None:
            return json.loads(text)
        return instance(self.kind, text)

    def _validate(self, text: str) -> None:
        """Raise SchemaError unless the text's value satisfies the whole schema, as far as jsonschema is installed."""
        try:
            from jsonschema import Draft202012Validator, exceptions
            from jsonschema.validators import validator_for
        except ImportError:
            return
        document = json.loads(self.source)
        judge = validator_for(document, default=Draft202012Validator)
        judge = judge(document, registry=Documents(document, self.registry).registry)
        error = exceptions.best_match(judge.iter_errors(json.loads(text)))
        if error is not None:
            pointer = "".join(map(keywords.step, error.absolute_schema_path))
            raise SchemaError(
                f"the text does not satisfy {error.validator!r}, which was relaxed: {error.message:.100}; "
                "generate again, or write the schema so that nothing is relaxed",
                pointer,
                error.validator,
            )


_NO_ESCAPES = Relaxed(
    "", "", "escapes of plain ASCII characters in names and strings are left out, since they are many"
)
_DYNAMIC = ('"$dynamicRef"', '"$recursiveRef"', "//json-schema.org/draft/20")


def compile_schema(
    schema: Any,
    whitespace: str = "any",
    max_depth: int | None = None,
    *,
    property_order: str = "schema",
    on_unsupported: str = "error",
    formats: bool = True,
    indent: int = 2,
    registry: Registry | None = None,
    values_from: str | None = None,
) -> Schema:
    """Read a schema: a dict, JSON text, or (through pydantic) a model, dataclass, TypedDict or type like `list[int]`.

    >>> from dgemma_constrain.automata.dfa import compile_nfa
    >>> schema = compile_schema({"type": "array", "items": {"type": "integer"}, "maxItems": 2})
    >>> [compile_nfa(schema.nfa()).accepts(text) for text in ("[]", "[1, 20]", "[1, 2, 3]", "[01]")]
    [True, True, False, False]

    The options are those of `dgemma_constrain.json_schema`.
    """
    for name, given, known in (
        ("property_order", property_order, ("schema", "any")),
        ("on_unsupported", on_unsupported, ("error", "relax")),
    ):
        if given not in known:
            raise ConstraintError(f"{name} must be {' or '.join(known)}, not {given!r}")
    for name, number in (("max_depth", max_depth), ("indent", indent)):
        if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 0):
            raise ConstraintError(f"{name} must be a whole number from 0 up, not {number!r}")
    if not isinstance(whitespace, str):
        raise ConstraintError(f"whitespace must be any, compact, pretty or a regular expression, not {whitespace!r}")
    Layout(whitespace, indent)
    source, kind = read(schema)
    given = None if values_from is None else Source(values_from)
    made = Schema(source, whitespace, indent, max_depth, property_order, on_unsupported, formats, kind, registry, given)
    made._read()
    return made
