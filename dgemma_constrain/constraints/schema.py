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

    def value(self, text: str) -> Any:
        return self.schema.value(text)


def json_schema(
    schema: Any, whitespace: str = "any", max_depth: int | None = None, values_from: str | None = None
) -> Constraint:
    """JSON texts that satisfy a schema: a dict, JSON text, pydantic model, dataclass, TypedDict or type like `list[int]`.

    whitespace: "any" wherever JSON allows it inside, "compact" none, "pretty" as json.dumps(…, indent=2).
    What is supported, and where it is narrower than the standard (open objects are closed), is told in
    `constraints/json_schema`. Anything else raises UnsupportedSchema with the keyword and its JSON pointer;
    SchemaError for what is no schema or contradicts itself.
    max_depth and values_from belong to recursive schemas and extraction, which this version doesn't have: refused.
    """
    for name, value in (("max_depth", max_depth), ("values_from", values_from)):
        if value is not None:
            raise ConstraintError(f"json_schema: {name} is not supported yet; leave it out")
    return JsonSchema(compile_schema(schema, whitespace))
