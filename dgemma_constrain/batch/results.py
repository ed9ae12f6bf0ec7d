"""The file of results: one line a row, in the order in which rows were finished.

A line is appended whole and synced to the disk before anything else is done, so after a kill, or without power, the file
holds complete lines and at most one torn one at its end, which is cut off when it is opened again. A row is done if a line
of its number and key is there; the key is a digest of the row and of all that decides its text, so that results of other
prompts or options are never taken for these.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from dgemma_constrain.batch.rows import Row
from dgemma_constrain.errors import ConstraintError

try:
    import fcntl
except ImportError:  # Windows: nothing keeps a second process away
    fcntl = None


class Results:
    """A context; `done` has the key of every row in the file by its number, `failed` counts those with an error."""

    def __init__(self, path: str | os.PathLike):
        self.path = path
        self.done: dict[int, str] = {}
        self.failed = 0

    def __enter__(self) -> Results:
        if os.path.exists(self.path) and not os.path.isfile(self.path):
            raise ConstraintError(f"{self.path}: not a file in which results last; name another --out")
        self._file = open(self.path, "a+b")
        try:
            self._lock()
            self._read()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, kind, *_) -> None:
        try:
            self._file.close()
        except OSError:  # what is still in the buffer could not be written before, either
            if kind is None:
                raise

    def _lock(self) -> None:
        if fcntl:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConstraintError(
                    f"{self.path}: another process is writing to it; wait for it, or name another --out"
                ) from None

    def _read(self) -> None:
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                break
            self._note(line, f"{self.path}, line {number}")
            whole += len(line)
        self._file.truncate(whole)
        self._file.seek(whole)

    def _note(self, line: bytes, place: str) -> None:
        try:
            found = json.loads(line)
            number, key = int(found["line"]), str(found["key"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ConstraintError(f"{place}: not a result of dgemma batch; name another --out") from None
        if number in self.done:
            raise ConstraintError(f"{place}: row {number} is there twice; name another --out")
        self.done[number] = key
        self.failed += "error" in found

    def missing(self, rows: Iterable[Row]) -> list[Row]:
        """The rows that are not there yet. Raises ConstraintError where the file has results of other rows."""
        left, known = [], 0
        for row in rows:
            if row.number not in self.done:
                left.append(row)
            elif self.done[row.number] != row.key:
                raise ConstraintError(
                    f"{self.path}: row {row.number} was written from another prompt or with other options; "
                    "name another --out, or delete it"
                )
            else:
                known += 1
        if known < len(self.done):
            raise ConstraintError(f"{self.path}: it has results of rows that the input has not; name another --out")
        return left

    def append(self, row: Row, line: str) -> None:
        """Add a result to the file; `sync` makes it last."""
        if row.number in self.done:  # a worker that was lost may have been heard before
            return
        data = line.encode() + b"\n"
        self._note(data, f"row {row.number}")
        with self._told():
            self._file.write(data)

    def sync(self) -> None:
        with self._told():
            self._file.flush()
            os.fsync(self._file.fileno())

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConstraintError(
                f"{self.path}: {error.strerror}; what was written stays, and the job goes on from there when it is started again"
            ) from None
