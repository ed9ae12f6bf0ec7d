"""What the user may set: the section `dgemma` of the editor's configuration, or initializationOptions."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any


@dataclass(frozen=True)
class Settings:
    """Times in milliseconds."""

    enabled: bool = True
    model: str = "embedded"  # what dgemma_constrain.load takes
    debounceLeast: int = (
        75  # how long the keyboard must rest before the model is asked: between the two, by how one types
    )
    debounceMost: int = 300
    deadlineLine: int = 300  # when the best text so far is taken
    deadlineBlock: int = 1000
    inComments: bool = True
    inStrings: bool = True
    largest: int = 2_000_000  # no completion in documents of more bytes
    disabledLanguages: list[str] = field(default_factory=list)
    schemas: dict[str, str] = field(
        default_factory=dict
    )  # what a file's `$schema` says, or its name → the schema's path


_KINDS = {"bool": bool, "str": str, "int": int, "list[str]": list, "dict[str, str]": dict}
_KNOWN = {f.name: _KINDS[f.type] for f in fields(Settings)}


def updated(settings: Settings, given: Any) -> tuple[Settings, list[str]]:
    """Settings with what a client sent (with or without the section's name around it), and what was wrong with it: one line each.

    What is wrong is left as it was.
    """
    if isinstance(given, dict) and "dgemma" in given:
        given = given["dgemma"]
    if given is None or given == []:  # how Lua says that an object is empty
        return settings, []
    if not isinstance(given, dict):
        return settings, [f"dgemma: an object is needed here, not {given!r:.60}"]
    good, wrong = {}, []
    for name, value in given.items():
        if name not in _KNOWN:
            wrong.append(f"dgemma.{name} is not known; there are {', '.join(_KNOWN)}")
        elif not _fits(value, _KNOWN[name]):
            wrong.append(f"dgemma.{name} is {value!r:.60}, but {_WANTED[_KNOWN[name]]} is needed")
        else:
            good[name] = value
    return replace(settings, **good), wrong


_WANTED = {
    bool: "true or false",
    str: "a text",
    int: "a whole number from 0 up",
    list: "a list of texts",
    dict: "an object of texts",
}


def _fits(value: Any, kind: type) -> bool:
    if kind is int:
        return type(value) is int and value >= 0
    if kind is list:
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    if kind is dict:
        return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
    return type(value) is kind
