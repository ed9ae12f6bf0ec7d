"""Which names of a text for a hole are known: those that stand in the file already, the language's own words, its built-ins."""

from __future__ import annotations

import builtins
import re

from dgemma_constrain.infill.hole import Hole
from dgemma_constrain.infill.yields import spellings

_NAME = re.compile(r"[^\W\d]\w*")
_QUOTED = re.compile(r"\"[^\"\n]*\"?|'[^'\n]*'?|`[^`]*`?")


class Unknown:
    """Counts the names that are none of those."""

    def __init__(self, hole: Hole, language: str):
        self._known = {*_NAME.findall(hole.before), *_NAME.findall(hole.after), hole.head + hole.tail}
        self._known |= {one for some in spellings(language) for one in some}
        if language == "python":
            self._known |= {*dir(builtins), "self", "cls"}

    def count(self, text: str) -> int:
        """How many different names outside quotes are unknown."""
        return len({*_NAME.findall(_QUOTED.sub(" ", text))} - self._known)
