"""What is wrong with a JSON Schema, and where, in characters of its text."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring

import dgemma_constrain as dc
from dgemma_lsp.grammar_check import Problem

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def problems(text: str) -> list[Problem]:
    """What `dc.json_schema` says of a schema's text: at most one error."""
    try:
        schema = json.loads(text)
    except json.JSONDecodeError as error:
        return [Problem(error.pos, error.pos + 1, f"not JSON: {error.msg}")]
    except RecursionError:
        return [Problem(0, 1, "nested too deeply")]
    if not isinstance(schema, (dict, bool)):
        return [Problem(0, 1, "a schema must be an object, true or false")]
    try:
        dc.json_schema(schema)
    except dc.ConstraintError as error:
        start, end = place(text, getattr(error, "pointer", ""))
        return [Problem(start, end, re.sub(r" \(at /[^ ]*\)$", "", str(error)))]
    return []


def place(text: str, pointer: str) -> tuple[int, int]:
    """Where what a JSON pointer leads to is named: its key, or an element. As far as the pointer leads."""
    at = _SPACE.match(text).end()
    found = at, at + 1
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        opening, number = text[at], 0
        if opening not in "{[":
            break
        at = _SPACE.match(text, at + 1).end()
        while text[at] not in "}]":
            name, start = str(number), at
            if opening == "{":
                name, at = scanstring(text, at + 1)
            end = at
            if opening == "{":
                at = _SPACE.match(text, at).end() + 1  # the colon
                at = _SPACE.match(text, at).end()
            behind = _DECODER.raw_decode(text, at)[1]
            if name == step:
                found = start, end if opening == "{" else behind
                break
            at = _SPACE.match(text, behind).end()
            if text[at] == ",":
                at, number = _SPACE.match(text, at + 1).end(), number + 1
        else:
            break
    return found
