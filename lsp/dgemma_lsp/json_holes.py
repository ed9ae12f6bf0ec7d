"""What may stand at a cursor in JSON whose schema is known.

The texts that fill a hole are a quotient of the schema's language by what stands on either side (`between`): so they obey the
schema and JSON's syntax at once, whatever the hole is: half a key, a value, a comma and all that is still missing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import dgemma_constrain as dc
from dgemma_constrain.automata.dfa import DFA, intersect
from dgemma_constrain.automata.kernels import sources
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA
from dgemma_constrain.automata.quotient import after, between
from dgemma_constrain.constraints.base import Constraint

_NAMED = re.compile(r'"\$schema"\s*:\s*("(?:[^"\\\n]|\\.)*")')
_SPACE = " \t\r\n"


@dataclass(frozen=True)
class Hole(Constraint):
    """What may stand between two texts: anything but nothing.

    right: None where the text behind the cursor can't stand there, whatever comes before: then it is left out, and what is
    written ends where a JSON token does; more may be wanted behind it.
    line: no more than a line.
    """

    whole: Constraint
    left: str
    right: str | None
    line: bool = False

    def _make_dfa(self, limits: Limits) -> DFA:
        whole = self.whole.dfa(limits)
        if self.right is None:
            found = after(whole, self.left, _ends_of_tokens(whole))
        else:
            found = between(whole, self.left, self.right)
        some = dc.regex(r"[^\n]*[^\s][^\n]*" if self.line else r"[\s\S]*[^\s][\s\S]*")
        return intersect(found, some.dfa(), limits)

    def nfa(self, limits: Limits) -> NFA:
        return self.dfa(limits).nfa()


def _ends_of_tokens(dfa: DFA) -> np.ndarray:
    """The states in which a token has ended, bool[S]: the text may end or a line may, which it can't in a string."""
    newline = dfa.alphabet.of(np.array([10], np.int32))[0]
    ends = dfa.accept.copy()
    ends[sources(dfa.offsets)[dfa.symbols == newline]] = True
    return ends


def hole_at(schema: Any, source: str, start: int, end: int, line: bool) -> Constraint | None:
    """What may stand for source[start:end] in a text that obeys a schema; None if there is nothing.

    Raises ConstraintError if the schema isn't supported.
    """
    before, after = source[:start].lstrip(_SPACE), source[end:].rstrip(_SPACE)
    text = json.dumps(ordered(schema, before, after))
    for order, right in (("schema", after), ("any", after), ("schema", None)):
        whole = _constraint(text, order)
        hole = Hole(whole, before, right, line)
        if not hole.dfa().is_empty:
            return hole
        if whole.matches(before + after):  # all is there
            return None
    return None


@lru_cache(maxsize=16)
def _constraint(schema: str, order: str) -> Constraint:
    return dc.json_schema(json.loads(schema), on_unsupported="relax", property_order=order)


def ordered(schema: Any, before: str, after: str) -> Any:
    """The schema with its properties in the order in which a text has them, and `$schema` among them.

    Those that the text has before the hole come first, those that it has behind it last: its constraint holds the names in the
    order of declaration.
    """

    def place(numbered: tuple[int, tuple[str, Any]]) -> tuple[int, int]:
        number, (name, _) = numbered
        key = re.compile(re.escape(json.dumps(name, ensure_ascii=False)) + r"\s*:")
        if found := key.search(before):
            return 0, found.start()
        if found := key.search(after):
            return 2, found.start()
        return 1, number

    def turned(node: Any) -> Any:
        if isinstance(node, list):
            return [turned(part) for part in node]
        if not isinstance(node, dict):
            return node
        node = {
            key: turned(part) if key not in ("enum", "const", "default", "examples") else part
            for key, part in node.items()
        }
        if isinstance(node.get("properties"), dict):
            node["properties"] = dict(item for _, item in sorted(enumerate(node["properties"].items()), key=place))
        return node

    if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
        schema = {**schema, "properties": {"$schema": {"type": "string"}, **schema["properties"]}}
    return turned(schema)


def schema_name(source: str) -> str | None:
    """What a text's `$schema` says."""
    found = _NAMED.search(source)
    try:
        return json.loads(found.group(1)) if found else None
    except ValueError:
        return None


def schema_path(source: str, path: str | None, catalogue: dict[str, str]) -> Path | None:
    """The file with the schema of a text: by what its `$schema` says, or by its own name.

    The catalogue goes from either (`*` stands for anything in a name) to a path. A path is relative to the text's folder. What is
    not in the catalogue and no path of a file is not looked for: nothing is fetched.
    """
    name = schema_name(source)
    folder = Path(path).parent if path else None
    known = catalogue.get(name) if name else None
    if known is None and path:
        known = next((to for pattern, to in catalogue.items() if fnmatchcase(Path(path).name, pattern)), None)
    if known is None and name and not re.match(r"[A-Za-z][\w+.-]+:", name):
        known = name
    if known is None or (folder is None and not Path(known).is_absolute()):
        return None
    found = Path(known) if folder is None else folder / known
    return found if found.is_file() else None


@lru_cache(maxsize=16)
def _read(path: Path, changed: float) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def schema_of(source: str, path: str | None, catalogue: dict[str, str]) -> Any:
    """The schema that a text names; None if it names none that can be read. Raises OSError, ValueError for one that can't."""
    found = schema_path(source, path, catalogue)
    return None if found is None else _read(found, found.stat().st_mtime)
