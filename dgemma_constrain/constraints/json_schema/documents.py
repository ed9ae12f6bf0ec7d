"""Where references lead: `$ref`, `$dynamicRef`, `$recursiveRef`, `$id`, anchors, and other documents in a registry.

Resolving is the work of the `referencing` library, which knows every draft's rules. Nothing is ever fetched: documents
that the schema doesn't contain come from the registry that the caller passes, or are a draft's own meta-schema.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from referencing import Registry, exceptions
from referencing.jsonschema import lookup_recursive_ref, specification_with

from dgemma_constrain.constraints.json_schema.keywords import CURRENT, GUESSED, Dialect, dialect_of, shown, step
from dgemma_constrain.errors import SchemaError, UnsupportedSchema

_VOCABULARY = "https://json-schema.org/draft/{}/vocab/{}"


@dataclass(frozen=True, eq=False)
class Place:
    """A schema (true, false or an object) where it stands."""

    schema: Any
    resolver: Any
    dialect: Dialect
    pointer: str

    @property
    def scope(self) -> tuple[str, ...]:
        """The documents that led here, outermost first, each once: what a dynamic reference depends on."""
        return tuple(dict.fromkeys([uri for uri, _ in self.resolver.dynamic_scope()][::-1]))


class Documents:
    """A schema and what its references can reach."""

    def __init__(self, schema: Any, registry: Registry | None = None):
        from jsonschema_specifications import REGISTRY

        self.registry = REGISTRY if registry is None else REGISTRY.combine(registry)
        self._dialects: dict[str, Dialect] = {}
        if not isinstance(schema, (dict, bool)):
            raise _no_schema(schema, "")
        declared = isinstance(schema, dict) and "$schema" in schema
        dialect = self.dialect(schema["$schema"], "/$schema") if declared else GUESSED
        if isinstance(schema, dict):
            _check_names(schema, dialect, "")
        resolver = self.registry.resolver_with_root(specification_with(dialect.uri).create_resource(schema))
        self.document = schema
        self.pointers: dict[int, str] = {}  # where everything stands, from the first reference on
        self.root = self.enter(schema, resolver, dialect, "")

    def _index(self, document: Any, pointer: str) -> None:
        """Remember where everything stands, for error messages; the first document that holds it counts."""
        stack = [(document, pointer)]
        while stack:
            value, at = stack.pop()
            if id(value) not in self.pointers:
                self.pointers[id(value)] = at
                members = value.items() if isinstance(value, dict) else enumerate(value)
                stack += [(member, at + step(name)) for name, member in members if isinstance(member, (dict, list))]

    def dialect(self, uri: Any, pointer: str) -> Dialect:
        """The draft of a `$schema`; that of a meta-schema in the registry is the one it is written in."""
        if not isinstance(uri, str):
            raise SchemaError(f"'$schema' must be a string, not {shown(uri)}", pointer, "$schema")
        known = dialect_of(uri)
        if known is not None:
            return known
        uri = uri.rstrip("#")
        if uri not in self._dialects:
            try:
                meta = self.registry.get_or_retrieve(uri).value.contents
            except exceptions.NoSuchResource:
                meta = None
            if not isinstance(meta, dict) or str(meta.get("$schema", uri)).rstrip("#") == uri:
                raise UnsupportedSchema(
                    f"the dialect {uri!r:.80} is not known (drafts from 04 are); write {CURRENT}, leave '$schema' out, or pass "
                    "its meta-schema in registry",
                    pointer,
                    "$schema",
                )
            base = self.dialect(meta["$schema"], pointer)
            if "$vocabulary" in meta:
                year = {2019: "2019-09", 2020: "2020-12"}.get(base.year, "")
                said = meta["$vocabulary"]
                known = {_VOCABULARY.format(year, name) for name in _VOCABULARIES}
                foreign = [name for name, must in said.items() if must and name not in known]
                if foreign:
                    raise UnsupportedSchema(f"the vocabulary {foreign[0]!r:.80} is not known", pointer, "$schema")
                base = Dialect(
                    base.year,
                    _VOCABULARY.format(year, "validation") in said,
                    _VOCABULARY.format(year, "format-assertion") in said,
                )
            self._dialects[uri] = base
        return self._dialects[uri]

    def enter(self, schema: Any, resolver: Any, dialect: Dialect, pointer: str, entered: bool = False) -> Place:
        """A schema as a place: with the base URI that it sets (unless `entered`: then the resolver has that already),
        and its own draft if it names one."""
        if not isinstance(schema, (dict, bool)):
            raise _no_schema(schema, pointer)
        if isinstance(schema, dict):
            if "$schema" in schema:
                dialect = self.dialect(schema["$schema"], f"{pointer}/$schema")
            if dialect.guessed and isinstance(schema.get("items"), list):
                dialect = dataclasses.replace(dialect, year=2019)
            if not _NAMES.isdisjoint(schema):
                _check_names(schema, dialect, pointer)
            if ("id" if dialect.year == 4 else "$id") in schema and not entered:
                resolver = resolver.in_subresource(specification_with(dialect.uri).create_resource(schema))
        return Place(schema, resolver, dialect, pointer)

    def inside(self, place: Place, *steps: str | int) -> Place:
        """A schema inside another one."""
        schema = place.schema
        for name in steps:
            schema = schema[name]
        return self.enter(schema, place.resolver, place.dialect, place.pointer + "".join(map(step, steps)))

    def target(self, place: Place, keyword: str) -> Place:
        """Where the reference of a place leads."""
        reference = place.schema[keyword]
        at = f"{place.pointer}/{keyword}"
        try:
            if keyword == "$recursiveRef":
                found = lookup_recursive_ref(place.resolver)
            else:
                found = place.resolver.lookup(reference)
            root = found.resolver.lookup("#").contents
        except exceptions.PointerToNowhere:
            raise SchemaError(
                f"{keyword!r} leads nowhere: there is nothing at {reference!r:.80}", at, keyword
            ) from None
        except (exceptions.NoSuchAnchor, exceptions.InvalidAnchor):
            raise SchemaError(f"{keyword!r} leads nowhere: there is no anchor {reference!r:.80}", at, keyword) from None
        except exceptions.Unresolvable:
            raise SchemaError(
                f"{keyword!r} leads to {reference!r:.80}, which is no part of this schema; nothing is fetched: pass the "
                "document in registry, or copy it under $defs",
                at,
                keyword,
            ) from None
        except (TypeError, AttributeError, ValueError, KeyError) as error:
            raise SchemaError(
                f"{keyword!r} leads to {reference!r:.80}, where no schema is ({str(error)[:60]})", at, keyword
            ) from None
        dialect = place.dialect
        if isinstance(root, dict) and isinstance(root.get("$schema"), str):
            dialect = self.dialect(root["$schema"], at)
        if not self.pointers and isinstance(self.document, dict):
            self._index(self.document, "")
        if isinstance(found.contents, (dict, list)) and id(found.contents) not in self.pointers:
            self._index(root, reference.partition("#")[0] + "#")
        return self.enter(found.contents, found.resolver, dialect, self.pointers.get(id(found.contents), at), True)


def _no_schema(value: Any, pointer: str) -> SchemaError:
    return SchemaError(f"a schema must be an object, true or false, not {shown(value)}", pointer)


def _check_names(schema: dict[str, Any], dialect: Dialect, pointer: str) -> None:
    """Raise SchemaError unless what names a schema is a string, and its base URI one that can be resolved."""
    base = "id" if dialect.year == 4 else "$id"
    for keyword in (base, "$anchor", "$dynamicAnchor", "$ref"):
        if not isinstance(schema.get(keyword, ""), str):
            raise SchemaError(f"{keyword!r} must be a string", f"{pointer}/{keyword}", keyword)
    try:
        urlsplit(schema.get(base, ""))
    except ValueError as error:
        raise SchemaError(f"{base!r} is no URI: {error}", f"{pointer}/{base}", base) from None


_NAMES = frozenset(("id", "$id", "$anchor", "$dynamicAnchor", "$ref"))
_VOCABULARIES = """core applicator unevaluated validation format format-annotation format-assertion content
    meta-data""".split()
