"""JSON Schema → the JSON texts of the values that satisfy it.

    source → keywords → normal → narrow → text
    what     known,     nodes,   open     an NFA over
    given    well-      exact    ends     characters
             formed              closed

Reading order: nodes → keywords → normal → algebra → narrow → text → strings → layout → source; extraction.

What comes out always satisfies the schema. What may come out is *less* than the standard allows, in these ways:

- **No undeclared names.** An object without `additionalProperties` is written as if it were false; true, or a schema
  there, is refused.
- Names stand in the order of `properties`; names and the strings of `enum` and `const` in their plain spelling (raw
  characters wherever JSON allows them), numbers of `enum` and `const` as `json.dumps` writes them. Strings that are
  free may use every escape.
- An `integer` is written without fraction and exponent.
- Without `type`, a schema stands for the types that its keywords speak of.
- No white space before and after the whole text.

A part of a schema that no value fits is an error where two keywords of one schema contradict each other; it is taken
for a slip even where the rest would leave something.

Any keyword that isn't supported is an `UnsupportedSchema` with its JSON pointer; keywords of a type that can't occur
beside `type` have no effect, as the standard says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA
from dgemma_constrain.constraints.json_schema.extraction import Source
from dgemma_constrain.constraints.json_schema.layout import KINDS
from dgemma_constrain.constraints.json_schema.narrow import narrow
from dgemma_constrain.constraints.json_schema.nodes import Node
from dgemma_constrain.constraints.json_schema.normal import normalise
from dgemma_constrain.constraints.json_schema.source import adapter, read
from dgemma_constrain.constraints.json_schema.text import build, missing
from dgemma_constrain.errors import ConstraintError


@dataclass(frozen=True)
class Schema:
    """A compiled schema. Equal if its JSON text, white space and type are; picklable if the type is."""

    source: str  # the schema, as JSON text
    whitespace: str
    kind: Any  # the Python type it was made from, or None
    values_from: Source | None
    root: Node = field(repr=False, compare=False)

    def nfa(self, limits: Limits = Limits()) -> NFA:
        """The texts, over characters."""
        return build(self.root, self.whitespace, limits, self.values_from)

    def missing(self, limits: Limits = Limits()) -> list[str]:
        """The places of strings and numbers for which `values_from` has nothing that fits."""
        return missing(self.root, self.values_from, limits) if self.values_from else []

    def value(self, text: str) -> Any:
        """A text's value: parsed JSON, or an instance of the type that the schema was made from."""
        if self.kind is None:
            return json.loads(text)
        return adapter(self.kind).validate_json(text)


def compile_schema(schema: Any, whitespace: str = "any", values_from: str | None = None) -> Schema:
    """Read a schema: a dict, JSON text, or (through pydantic) a model, dataclass, TypedDict or type like `list[int]`.

    >>> from dgemma_constrain.automata.dfa import compile_nfa
    >>> schema = compile_schema({"type": "array", "items": {"type": "integer"}, "maxItems": 2})
    >>> [compile_nfa(schema.nfa()).accepts(text) for text in ("[]", "[1, 20]", "[1, 2, 3]", "[01]")]
    [True, True, False, False]

    `whitespace`: "any" (wherever JSON allows it inside), "compact" (nowhere), "pretty" (as `json.dumps(…, indent=2)`).
    `values_from`: a text in which free strings must be runs of words and free numbers must stand (see `extraction`).
    """
    if whitespace not in KINDS:
        raise ConstraintError(f"whitespace must be one of {', '.join(KINDS)}, not {whitespace!r}")
    document, kind = read(schema)
    source = json.dumps(document, ensure_ascii=False)
    given = None if values_from is None else Source(values_from)
    return Schema(source, whitespace, kind, given, narrow(normalise(json.loads(source))))
