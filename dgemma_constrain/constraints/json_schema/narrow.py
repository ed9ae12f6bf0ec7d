"""Normal form → what this version writes: every open end is closed, or refused where that would surprise.

Three narrowings, each sound (what is written satisfies the schema) and each smaller than the standard:

- an object that declares names and doesn't say `additionalProperties` gets no other names;
- a schema without `type` stands for the types that its keywords speak of;
- a union of these keeps only what somebody wrote down.

What declares nothing at all (`{}`, `true`, an array without `items`, an object without `properties`) is refused.
"""

from __future__ import annotations

from dgemma_constrain.constraints.json_schema.nodes import AnyOf, Anything, Array, Node, Object, any_of, is_never
from dgemma_constrain.errors import UnsupportedSchema


def narrow(node: Node, memo: dict[Node, Node] | None = None) -> Node:
    """The same values or fewer, without `Anything`, open objects, implied alternatives and impossible properties."""
    memo = {} if memo is None else memo
    if node not in memo:
        memo[node] = _narrow(node, memo)
    return memo[node]


def _narrow(node: Node, memo: dict) -> Node:
    match node:
        case Anything(pointer):
            raise UnsupportedSchema(
                "any JSON value is allowed here, which a later version will write; say which: give a 'type', 'enum', "
                "'anyOf' or '$ref'",
                pointer,
            )
        case AnyOf(pointer, choices, implied):
            # Implied alternatives are open (any array, any object); alone they mean nobody said anything.
            return any_of(pointer, [narrow(choice, memo) for choice in choices or implied], [])
        case Array(pointer, items, least, most):
            if most == 0:
                return Array(pointer, AnyOf(pointer, ()), 0, 0)
            if isinstance(items, Anything):
                raise UnsupportedSchema("an array of any values is not supported; give 'items'", pointer, "items")
            return Array(pointer, narrow(items, memo), least, most)
        case Object(pointer, properties, required, closed):
            missing = sorted(required - dict(properties).keys())
            if missing:
                raise UnsupportedSchema(
                    f"the required name {missing[0]!r} has no schema; give it one under 'properties'",
                    f"{pointer}/required", "required",
                )  # fmt: skip
            if not properties and not closed:
                raise UnsupportedSchema(
                    "an object with any names is not supported; list them under 'properties' (for {} alone write "
                    "'additionalProperties': false)",
                    pointer, "properties",
                )  # fmt: skip
            kept = tuple((name, narrow(member, memo)) for name, member in properties if not is_never(member))
            return Object(pointer, kept, required, True)
    return node
