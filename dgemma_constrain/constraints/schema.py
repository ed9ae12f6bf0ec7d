"""JSON Schema as a constraint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA
from dgemma_constrain.constraints.base import Constraint
from dgemma_constrain.constraints.json_schema import Schema, compile_schema
from dgemma_constrain.errors import ConstraintError


@dataclass(frozen=True)
class JsonSchema(Constraint):
    """The JSON texts that satisfy a schema."""

    schema: Schema

    def nfa(self, limits: Limits) -> NFA:
        return self.schema.nfa(limits)

    def _why_empty(self) -> str:
        if missing := self.schema.missing():
            return f"the source has no string or number that fits (at {', '.join(missing):.200})"
        return super()._why_empty()

    def value(self, text: str) -> Any:
        return self.schema.value(text)


def json_schema(
    schema: Any, whitespace: str = "any", max_depth: int | None = None, values_from: str | None = None
) -> Constraint:
    """JSON texts that satisfy a schema: a dict, JSON text, pydantic model, dataclass, TypedDict or `list[int]`.

    whitespace: "any" wherever JSON allows it inside, "compact" none, "pretty" as json.dumps(…, indent=2).
    What is supported, and where it is narrower than the standard (open objects are closed), is told in
    `constraints/json_schema`. Anything else raises UnsupportedSchema with the keyword and its JSON pointer;
    SchemaError for what is no schema or contradicts itself.
    values_from: extraction from this text. Strings are runs of its words (as of `substring`) and numbers stand in it;
    pattern and lengths hold, too. Values of enum and const, booleans and null are as they are.
    max_depth belongs to recursive schemas, which this version doesn't have: refused.
    """
    if max_depth is not None:
        raise ConstraintError("json_schema: max_depth is not supported yet; leave it out")
    return JsonSchema(compile_schema(schema, whitespace, values_from))
