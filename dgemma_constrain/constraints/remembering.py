"""What frozen dataclasses derive from what they hold."""

from __future__ import annotations

from typing import Any


class Remembering:
    """For frozen dataclasses that remember what they derived, under names with an underscore: it is not pickled."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}
