"""What is measured: constraints as people write them, each with a text that satisfies it.

The texts are what the peers read from left to right; JSON as `json.dumps` writes it, which all of them accept.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

import dgemma_constrain as dc


@dataclass(frozen=True)
class Case:
    """kind "regex" or "schema"; source: the pattern, or the schema as a dict; text: one text that satisfies it."""

    name: str
    kind: str
    source: Any
    text: str

    def constraint(self) -> dc.Constraint:
        """A new constraint: nothing of an earlier compile is kept in it."""
        return dc.regex(self.source) if self.kind == "regex" else dc.json_schema(self.source)


def _names(count: int, seed: int) -> list[str]:
    """Made-up words, all different, 4 to 12 letters."""
    chance = random.Random(seed)
    parts = "an bel cor da el fin gra ho is jun ka lor mi nor o pra ri sta".split()
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(chance.choices(parts, k=chance.randint(2, 4))).ljust(4, "e")] = None
    return list(words)


def _object(properties: dict, required: list[str] | None = None, **more: Any) -> dict:
    required = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, **more}


def _regex(name: str, pattern: str, text: str) -> Case:
    return Case(name, "regex", pattern, text)


def _schema(name: str, schema: dict, value: Any) -> Case:
    return Case(name, "schema", schema, json.dumps(value))


STRING, INTEGER, NUMBER, BOOLEAN = ({"type": kind} for kind in ("string", "integer", "number", "boolean"))
_WORDS = _names(500, seed=1)
_CITIES = [name.title() for name in _names(5000, seed=2)]
_FIELDS = _names(110, seed=3)
_NAME = "[A-Za-z_][A-Za-z0-9_]{0,30}"
_BYTE = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_DATE = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SENTENCE = "The ferry to the outer islands leaves at nine, unless the wind is above seven."

REGEXES = [
    _regex("date", _DATE, "2026-11-23"),
    _regex("uuid", _UUID, "3f2b8c1e-9d4a-4b7c-8e21-0a5d6f7e8b90"),
    _regex("email", r"[A-Za-z0-9._%+-]+@([A-Za-z0-9-]+\.)+[A-Za-z]{2,24}", "anna.keller+news@mail.example.org"),
    _regex(
        "url",
        r"https?://[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]{1,5})?"
        r"(/[A-Za-z0-9._~%!$&'()*+,;=:@-]*)*(\?[^ #\n]*)?(#[^ \n]*)?",
        "https://docs.example.org:8080/guide/start.html?lang=en&page=2#install",
    ),
    _regex("ipv4", rf"({_BYTE}\.){{3}}{_BYTE}", "192.168.17.254"),
    _regex(
        "phone", r"\+[1-9][0-9]{0,2}[ -]?(\([0-9]{1,4}\)[ -]?)?[0-9]{2,4}([ -]?[0-9]{2,4}){1,4}", "+49 (30) 1234 567-89"
    ),
    _regex("number", r"-?(0|[1-9][0-9]{0,2}(,[0-9]{3})*)(\.[0-9]{1,4})?", "-12,345,678.25"),
    _regex("free text", r".{1,200}", _SENTENCE),
    _regex("line", r"[^\n]{0,80}", _SENTENCE),
    _regex("word", r"\w{1,100}", "Straßenbahnhaltestelle"),
    _regex("names", rf"{_NAME}(, {_NAME}){{0,9}}", "self, canvas, logits_of_row, x1, __name__"),
    _regex("500 words", "|".join(_WORDS), _WORDS[250]),
    _regex("table row", r"\|( [^|\n]{1,40} \|){2,6}", "| Anna Keller | 34 | Lisbon, Portugal | since 2019 |"),
    _regex("password", r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[!-~]{12,24}", "correct-Horse7battery"),
]

_ADDRESS = _object(
    {"street": STRING, "number": {"type": "string", "maxLength": 8}, "city": STRING,
     "postcode": {"type": "string", "pattern": "^[0-9]{5}$"}, "country": {"enum": ["AT", "CH", "DE", "FR", "IT", "PT"]}}
)  # fmt: skip
_ITEM = _object(
    {"sku": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"}, "quantity": INTEGER,
     "price": NUMBER, "tags": {"type": "array", "items": STRING, "maxItems": 5}}
)  # fmt: skip
_KINDS = [STRING, INTEGER, NUMBER, BOOLEAN, {"enum": ["low", "medium", "high"]}, {"type": "string", "maxLength": 40}]
_EVENT = {name: _KINDS[i % len(_KINDS)] for i, name in enumerate(_FIELDS[:80])}
_EVENT_VALUES = ["an ordinary text", 17, 2.5, True, "medium", "a short one"]
_ADDRESS_VALUE = {"street": "Rua da Rosa", "number": "12b", "city": "Lisbon", "postcode": "12005", "country": "PT"}
_TREE = {
    "$defs": {
        "point": _object({"x": NUMBER, "y": NUMBER}),
        "line": _object({"from": {"$ref": "#/$defs/point"}, "to": {"$ref": "#/$defs/point"}, "label": STRING}),
        "shape": _object(
            {
                "name": STRING,
                "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "minItems": 1, "maxItems": 4},
            }
        ),
    },
    **_object({"left": {"$ref": "#/$defs/shape"}, "right": {"$ref": "#/$defs/shape"}}),
}
_LINE_VALUE = {"from": {"x": 0, "y": 1.5}, "to": {"x": -3, "y": 20}, "label": "edge"}
_NULLABLE = {"anyOf": [STRING, {"type": "null"}]}

SCHEMAS = [
    _schema(
        "person",
        _object({"name": STRING, "age": INTEGER, "email": STRING, "active": BOOLEAN}),
        {"name": "Anna Keller", "age": 34, "email": "anna@example.org", "active": True},
    ),
    _schema("address", _ADDRESS, _ADDRESS_VALUE),
    _schema(
        "payload",
        _object(
            {
                "id": INTEGER,
                "customer": _object({"name": STRING, "address": _ADDRESS}),
                "items": {"type": "array", "items": _ITEM, "minItems": 1, "maxItems": 10},
                "note": STRING,
            },
            ["id", "customer", "items"],
        ),
        {
            "id": 1042,
            "customer": {"name": "Anna Keller", "address": _ADDRESS_VALUE},
            "items": [{"sku": "ABC-0042", "quantity": 2, "price": 19.5, "tags": ["new", "blue"]}],
            "note": "ring twice",
        },
    ),  # fmt: skip
    _schema("30 strings", _object({name: STRING for name in _FIELDS[80:]}), {name: "value" for name in _FIELDS[80:]}),
    _schema(
        "event",
        _object(_EVENT, _FIELDS[:8]),
        {name: _EVENT_VALUES[i % len(_KINDS)] for i, name in enumerate(_FIELDS[:80]) if i < 8 or i % 10 == 0},
    ),
    _schema(
        "bounded",
        _object(
            {
                "title": {"type": "string", "minLength": 1, "maxLength": 80},
                "summary": {"type": "string", "maxLength": 200},
            }
        ),
        {"title": "Ferries this week", "summary": _SENTENCE},
    ),
    _schema("5,000 cities", _object({"city": {"enum": _CITIES}}), {"city": _CITIES[2500]}),
    _schema(
        "patterns",
        _object(
            {"id": {"type": "string", "pattern": f"^{_UUID}$"}, "day": {"type": "string", "pattern": f"^{_DATE}$"}}
        ),
        {"id": "3f2b8c1e-9d4a-4b7c-8e21-0a5d6f7e8b90", "day": "2026-11-23"},
    ),
    _schema("integers", {"type": "array", "items": INTEGER, "maxItems": 20}, [3, 1, 4, 15, 92, -65, 358, 9793]),
    _schema(
        "nullable",
        _object(
            {
                "first": STRING,
                "middle": _NULLABLE,
                "last": STRING,
                "age": {"anyOf": [INTEGER, {"type": "null"}]},
                "notes": _NULLABLE,
            }
        ),
        {"first": "Anna", "middle": None, "last": "Keller", "age": 34, "notes": None},
    ),
    _schema("tree", _TREE, {side: {"name": side, "lines": [_LINE_VALUE]} for side in ("left", "right")}),
    _schema(
        "config",
        _object(
            {
                **{f"enable_{name}": BOOLEAN for name in _FIELDS[:12]},
                "level": {"enum": ["debug", "info", "warning"]},
                "workers": INTEGER,
            }
        ),
        {**{f"enable_{name}": i % 3 == 0 for i, name in enumerate(_FIELDS[:12])}, "level": "info", "workers": 4},
    ),
]

CASES = {case.name: case for case in REGEXES + SCHEMAS}
