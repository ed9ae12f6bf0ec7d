"""Whether Python itself reads a file with a text in its hole, told by as little of the file as can tell.

Python reads statements one after the other, and between two of a block nothing is left open but the block. So where it reads a
run of a block's statements by itself, with a placeholder in the hole, another text leaves the file readable if it leaves that run
so. A text may join with the statement before it (`else:`) and with the one behind it (a decorator): the run is of these, too.
tree-sitter's tree of the file with the placeholder says where they are.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

WHOLE = 100_000  # bytes of a file that is read as a whole, where no run of it tells


class _Run(NamedTuple):
    """What is left and right of the hole: of the file, or of a block behind a header of its own."""

    header: bytes
    before: bytes
    after: bytes


class Reading:
    """What Python makes of texts in a hole. around: the nodes of tree-sitter's tree that the placeholder is in, the outermost
    first."""

    def __init__(self, before: bytes, placeholder: bytes, after: bytes, around: list[Any]):
        self._runs = list(_runs(before, placeholder, after, around))
        if len(before) + len(after) <= WHOLE:
            self._runs.append(_Run(b"", before, after))
        self._placeholder, self._chosen = placeholder, {}

    def accepts(self, text: bytes) -> bool:
        """Whether Python reads the file with it. Of anything True, where it can't read the placeholder."""
        several = any(one in text for one in (b"\n", b"\r", b"\\"))  # lines that may leave the block
        if several not in self._chosen:
            runs = (run for run in self._runs if not (several and run.header))
            stand_ins = self._placeholder, self._placeholder + b" pass"  # where a body is wanted, which tree-sitter does without
            self._chosen[several] = next((run for run in runs if any(_reads(run, one) for one in stand_ins)), None)
        run = self._chosen[several]
        return run is None or _reads(run, text)


def _runs(before: bytes, placeholder: bytes, after: bytes, around: list[Any]) -> Iterator[_Run]:
    """From the innermost block on, each statement with the placeholder in it, with its neighbours, in whole lines."""
    at, stop = len(before), len(before) + len(placeholder)
    for block in reversed(around):
        if block.type not in ("block", "module"):
            continue
        statements = [child for child in block.children if child.type != "comment"]
        k = next((k for k, one in enumerate(statements) if one.start_byte <= at and stop <= one.end_byte), None)
        if k is None:
            continue
        first, last = statements[max(k - 1, 0)], statements[min(k + 1, len(statements) - 1)]
        start = before.rfind(b"\n", 0, first.start_byte) + 1
        end = after.find(b"\n", max(last.end_byte - stop - 1, 0))
        if before[start : first.start_byte].strip():
            continue  # behind something else on its line
        header = b"class A:\n" if block.type == "block" else b""
        yield _Run(header, before[start:], after[: end + 1] if end >= 0 else after)


def _reads(run: _Run, text: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it thinks of the file's escapes
            ast.parse(b"".join([run.header, run.before, text, run.after]))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
