"""Where schemas come from: a dict, JSON text, a file, or a Python type. All become checked, plain JSON.

And, for Python types, the way back: from a text to an instance.
"""

from __future__ import annotations

import json
import math
import os
import re
import types
import typing
from decimal import Decimal
from typing import Any

from dgemma_constrain.constraints.json_schema.keywords import step
from dgemma_constrain.errors import ConstraintError, LimitExceeded, SchemaError, UnsupportedSchema

MAX_NESTING = 200  # lists and objects inside one another
MAX_SIZE = 4_000_000  # characters and values
MAX_BITS = 10_000  # of one integer; Python itself won't write much longer ones


def read(source: Any) -> tuple[str, Any]:
    """(the schema's JSON text, the Python type it was made from or None).

    A str that ends in .json is a path: no JSON text that is a schema ends so.
    """
    if isinstance(source, os.PathLike) or (isinstance(source, str) and source.endswith(".json")):
        source = _content(os.fspath(source))
    if isinstance(source, (str, bytes)):
        check_json(_parse(source))
        return source if isinstance(source, str) else source.decode(json.detect_encoding(source)), None
    schema, kind = (source, None) if isinstance(source, (dict, bool)) else (_schema_of(source), source)
    check_json(schema)
    return json.dumps(schema, ensure_ascii=False), kind


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(4 * MAX_SIZE + 1)
    except OSError as error:
        raise SchemaError(f"the file {path!r:.200} with the schema cannot be read: {error.strerror}") from None


def _parse(text: str | bytes) -> Any:
    if len(text) > MAX_SIZE:
        raise LimitExceeded(f"a schema of {len(text):,} characters; up to {MAX_SIZE:,} can be read")
    try:
        return json.loads(text, object_pairs_hook=_distinct, parse_constant=_constant, parse_float=Decimal)
    except RecursionError:
        raise _too_deep("") from None
    except SchemaError:
        raise
    except ValueError as error:
        hint = "" if isinstance(text, bytes) or text.lstrip()[:1] == "{" else "; the path of a file ends in .json"
        raise SchemaError(f"the schema is not JSON: {error}{hint}") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SchemaError(f"the schema's JSON text has the name {twice!r} twice in one object; keep one of them")
    return members


def _constant(name: str) -> None:
    raise SchemaError(f"the schema is not JSON: {name} is no JSON value")


def _schema_of(kind: Any) -> Any:
    """The schema that pydantic gives a model, dataclass, TypedDict or annotation such as `list[int]`."""
    adapts = type(kind).__name__ == "TypeAdapter"
    if not (isinstance(kind, (type, typing.NewType)) or typing.get_origin(kind) or adapts):
        raise SchemaError(
            f"no schema in a {type(kind).__name__}; pass a dict, JSON text, a file's path, or a type (pydantic model, "
            "dataclass, TypedDict, list[int])"
        )
    name = getattr(kind, "__name__", kind)
    try:
        import pydantic
        from pydantic.json_schema import GenerateJsonSchema
    except ImportError:
        raise SchemaError(f"reading a schema off the Python type {name} needs pydantic: pip install pydantic") from None

    class Strict(GenerateJsonSchema):
        """Where pydantic's own schema says less than its reader asks for, or (of a set) more."""

        def decimal_schema(self, schema):
            either = super().decimal_schema(schema)
            return either["anyOf"][0] if "anyOf" in either else either

        def dict_schema(self, schema):
            found = super().dict_schema(schema)
            if schema.get("keys_schema", {}).get("type") == "int" and "propertyNames" not in found:
                found["propertyNames"] = {"pattern": "^(0|-?[1-9][0-9]*)$"}
            return found | ({"additionalProperties": False} if "patternProperties" in found else {})

        def url_schema(self, schema):
            found = super().url_schema(schema)
            if schemes := schema.get("allowed_schemes"):
                label = "[A-Za-z0-9]+(-[A-Za-z0-9]+)*"
                host = rf"({label}\.)*[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*(:[1-9][0-9]{{0,3}})?"
                found["pattern"] = f"^({'|'.join(map(re.escape, schemes))})://{host}([/?#]|$)"
            return found

        def set_schema(self, schema):
            return self._repeats(super().set_schema(schema))

        def frozenset_schema(self, schema):
            return self._repeats(super().frozenset_schema(schema))

        def _repeats(self, found):
            """An array that repeats an item is read, too; then only the least number of items needs different ones."""
            return found if found.get("minItems", 0) > 1 else {k: v for k, v in found.items() if k != "uniqueItems"}

        def complex_schema(self, schema):
            raise SchemaError("complex numbers have no JSON Schema; use two floats")

        def json_schema(self, schema):
            raise SchemaError("JSON inside a string has no JSON Schema; use the type that it holds")

    try:
        return _with_known_formats(_adapter(kind).json_schema(schema_generator=Strict))
    except (pydantic.PydanticUserError, pydantic.PydanticUndefinedAnnotation, ImportError) as error:
        raise SchemaError(f"pydantic finds no JSON Schema for {name}: {str(error).splitlines()[0]}") from None


# Formats of pydantic's own.
_FORMATS = {f"uuid{k}": {"format": "uuid", "pattern": f"^.{{14}}{k}.{{4}}[89ABab]"} for k in range(1, 9)} | {
    "ipvanyaddress": {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
    "base64": {"contentEncoding": "base64"},
    "base64url": {"pattern": "^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-][AQgw]==|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048]=)?$"},
}


def _with_known_formats(schema: Any) -> Any:
    if isinstance(schema, list):
        return list(map(_with_known_formats, schema))
    if not isinstance(schema, dict):
        return schema
    kept = {
        k: v if k in ("const", "enum", "default", "examples") else _with_known_formats(v) for k, v in schema.items()
    }
    name = kept.get("format")
    if not isinstance(name, str) or name not in _FORMATS:
        return kept
    del kept["format"]
    return {"allOf": [kept, _FORMATS[name]]}


def instance(kind: Any, text: str) -> Any:
    """What the type's reader makes of a text. Raises ConstraintError for what it refuses though the schema doesn't."""
    import pydantic

    try:
        return _adapter(kind).validate_json(_WHOLE_NUMBER.sub(_plain, text))
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ConstraintError(
            f"the text fits the schema of {getattr(kind, '__name__', kind)}, which says less than the type: "
            f"{first['msg']}{f' (at {place})' if place else ''}; say it in the type's annotations, with Field(…)"
        ) from None


# Of strings and numbers, which are all that may hold digits, the numbers with a fraction or exponent.
_WHOLE_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?')


def _plain(match: re.Match) -> str:
    """A whole number without fraction and exponent, as which pydantic reads it into an int of any size."""
    text = match[0]
    if text[0] == '"' or text.lstrip("-").isdigit():
        return text
    number = Decimal(text)
    if abs(number.adjusted()) > 1000 or number != number.to_integral_value():
        return text
    return str(int(number))


def _adapter(kind: Any) -> Any:
    """What pydantic calls a type's reader and writer."""
    import pydantic

    return kind if isinstance(kind, pydantic.TypeAdapter) else pydantic.TypeAdapter(_modern(kind))


def _modern(kind: Any) -> Any:
    """With each typing.TypedDict as the typing_extensions one, which pydantic insists on before Python 3.12."""
    if typing.is_typeddict(kind) and type(kind).__module__ == "typing":
        import typing_extensions

        marks = (typing_extensions.NotRequired, typing_extensions.Required)
        fields = {}
        for name, hint in typing.get_type_hints(kind, include_extras=True).items():
            if typing.get_origin(hint) in marks:
                hint = typing.get_args(hint)[0]
            fields[name] = marks[name in kind.__required_keys__][_modern(hint)]
        return typing_extensions.TypedDict(kind.__name__, fields)
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    changed = tuple(map(_modern, inside))
    if all(new is old for new, old in zip(changed, inside)):
        return kind
    return (typing.Union if origin is types.UnionType else origin)[changed]


def _too_deep(pointer: str) -> LimitExceeded:
    start = f" (it begins {pointer[:60]})" if pointer else ""
    return LimitExceeded(f"the schema is nested more than {MAX_NESTING} levels deep{start}; flatten it, or use $defs")


def check_json(document: Any) -> None:
    """Raise unless `document` is plain JSON of bearable depth and size. No recursion: this is what makes it safe."""
    size = 0
    stack: list[tuple] = [(document, (), 0)]
    while stack:
        value, steps, depth = stack.pop()
        size += 1
        if depth > MAX_NESTING:
            raise _too_deep(_pointer(steps))
        if isinstance(value, str):
            size += len(value)
            if not value.isascii():
                _check_text(value, steps)
        elif isinstance(value, dict):
            for name, member in value.items():
                if not isinstance(name, str):
                    raise SchemaError(f"the name {name!r} is not a string, so this is not JSON", _pointer(steps))
                if not name.isascii():
                    _check_text(name, steps)
                size += len(name)
                stack.append((member, (steps, name), depth + 1))
        elif isinstance(value, list):
            stack += [(member, (steps, i), depth + 1) for i, member in enumerate(value)]
        elif value is True or value is False or value is None:
            continue
        elif isinstance(value, float) and not math.isfinite(value):
            raise SchemaError(f"{value} is no JSON value", _pointer(steps))
        elif isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise LimitExceeded(
                f"an integer of {value.bit_length():,} bits (at {_pointer(steps)}); up to {MAX_BITS:,} are read"
            )
        elif not isinstance(value, (int, float, Decimal)):
            raise SchemaError(
                f"{value!r:.80} is not JSON; use dicts, lists, strings, numbers, booleans, None", _pointer(steps)
            )
        if size > MAX_SIZE:
            raise LimitExceeded(f"the schema holds more than {MAX_SIZE:,} characters and values; split it")


def _pointer(steps: tuple) -> str:
    """The pointer of (… (((), first step), second step) …)."""
    found = []
    while steps:
        steps, name = steps
        found.append(step(name))
    return "".join(reversed(found))


def _check_text(text: str, steps: tuple) -> None:
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise UnsupportedSchema(f"{text!r:.60} holds half a surrogate pair, which no UTF-8 text can", _pointer(steps))
