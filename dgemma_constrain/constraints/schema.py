"""JSON Schema as a constraint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA
from dgemma_constrain.constraints.base import Constraint
from dgemma_constrain.constraints.explain import Mismatch, found_at
from dgemma_constrain.constraints.json_schema import Relaxed, Schema, compile_schema
from dgemma_constrain.errors import EmptyConstraint, LimitExceeded, SchemaError

if TYPE_CHECKING:
    from referencing import Registry


@dataclass(frozen=True)
class JsonSchema(Constraint):
    """The JSON texts that satisfy a schema."""

    schema: Schema

    @property
    def relaxed(self) -> tuple[Relaxed, ...]:
        """What the texts need not obey: (pointer, keyword, why) of what `on_unsupported="relax"` loosened, and of
        unknown keywords and formats, which by the standard assert nothing."""
        return self.schema.relaxed

    @property
    def narrowed(self) -> tuple[Relaxed, ...]:
        """Of what some values that the schema allows are left out: formats that are known in part, very long strings,
        and, on a canvas only, some arrays and objects whose items or names must all be different, and rare spellings."""
        return self.schema.narrowed

    def matches(self, text: str) -> bool:
        """Whether the whole text satisfies the schema; also where it is a text that a canvas would leave out, because it is
        nested more deeply than `depth()` (unless `max_depth` or `values_from` was given), or of what is `narrowed`. No
        automaton is made, so a schema that is too large for one can be asked, too. Raises LimitExceeded for texts with
        hundreds of arrays and objects inside one another."""
        return self.schema.accepts(text)

    def explain(self, text: str) -> Mismatch | None:
        """As of all constraints; for a schema that is too large for an automaton, where the innermost value begins that does
        not fit."""
        if self.matches(text):
            return None
        try:
            return super().explain(text)
        except LimitExceeded:
            position, expected = self.schema.wrong(text)
            return Mismatch(position, found_at(text, position), expected)

    def nfa(self, limits: Limits) -> NFA:
        return self.schema.nfa(limits)

    def _make_dfa(self, limits: Limits) -> DFA:
        dfa = self.schema.dfa(limits)
        if self.schema.values_from is not None and (missing := self.schema.missing(limits)):
            raise EmptyConstraint(f"the source has no string or number that fits (at {', '.join(missing):.200})")
        if dfa.is_empty:
            raise SchemaError("no value fits this schema")
        return dfa

    def lifting(self, limits: Limits) -> Limits:
        """A fifth of the time: all of a schema's compile is to stay below some two seconds on one core."""
        return Limits(limits.states, limits.seconds / 5)

    def grown(self, error: LimitExceeded, limits: Limits) -> LimitExceeded:
        return LimitExceeded(f"{error} (at {self.schema.largest(limits)})")

    def value(self, text: str) -> Any:
        return self.schema.value(text)

    def depth(self, limits: Limits = Limits()) -> int | None:
        return self.schema.depth(limits)

    def wider(self, limits: Limits = Limits()) -> Constraint | None:
        return None if self.depth(limits) is None else Wider(self)


@dataclass(frozen=True)
class Wider(Constraint):
    """At least the texts of a schema: what its automaton does not reach may be anything."""

    constraint: JsonSchema

    def nfa(self, limits: Limits) -> NFA:
        return self.constraint.schema.wider(limits)


def json_schema(
    schema: Any,
    whitespace: str = "any",
    max_depth: int | None = None,
    values_from: str | None = None,
    *,
    property_order: str = "schema",
    on_unsupported: str = "error",
    formats: bool = True,
    indent: int = 2,
    registry: Registry | None = None,
) -> Constraint:
    """JSON texts that satisfy a schema: a dict, JSON text, a file's path (a Path, or a str that ends in .json), a pydantic
    model, dataclass, TypedDict or type like `list[int]` (then `value` is an instance).

    Drafts 2020-12, 2019-09, 07, 06 and 04, as `$schema` says (without it, 2020-12). What texts there are is told in
    `constraints/json_schema`.

    whitespace: "any" wherever JSON allows it, "compact" none, "pretty" as json.dumps(…, indent=indent); or a regular
        expression for what may stand wherever JSON allows white space inside the value
    max_depth: through how many levels of arrays and objects what contains itself (a recursive `$ref`, any JSON value) may
        do so. Without it, as many as a small automaton allows; `depth()` says how many, None if nothing is left out
    values_from: extraction from this text. Strings are runs of its words (as of `substring`) and numbers stand in it;
        formats, patterns and bounds hold, too. Values of enum and const, names, booleans and null are as they are
    property_order: "schema" or, in objects of up to 8 declared properties, "any"
    on_unsupported: "error", or "relax": what can't be expressed is left out, listed on `.relaxed`, and `value` checks it
        (with the jsonschema package)
    formats: whether `format` and `contentEncoding` assert anything
    registry: a `referencing.Registry` of other documents that references lead to; nothing is ever fetched

    Raises UnsupportedSchema, with JSON pointer and keyword, for what can't be expressed; SchemaError for what is no schema
    or contradicts itself; LimitExceeded. A schema with too many cases for an automaton still `matches`; `compile` raises then.
    """
    return JsonSchema(
        compile_schema(
            schema,
            whitespace,
            max_depth,
            property_order=property_order,
            on_unsupported=on_unsupported,
            formats=formats,
            indent=indent,
            registry=registry,
            values_from=values_from,
        )
    )
