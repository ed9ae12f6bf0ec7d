"""Compiled constraints on disk: safetensors, so nothing is unpickled, with a checksum, so nothing is trusted."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from os import PathLike
from pathlib import Path

import numpy as np

from dgemma_constrain.cache import folder
from dgemma_constrain.constraints.grammar import plain
from dgemma_constrain.constraints.grammar.machine import GrammarMachine
from dgemma_constrain.errors import CacheError
from dgemma_constrain.tokens.lift import TokenAutomaton
from dgemma_constrain.tokens.vocabulary import Vocabulary

FORMAT = "dgemma_constrain token automaton 2"
CACHE_BYTES = 256 * 2**20  # the oldest files go when the folder grows past this

_DTYPES = dict(
    classes="I32", member_offsets="I64", members="I32", offsets="I64",
    symbols="I32", targets="I32", accept="BOOL", distance="I32",
)  # fmt: skip


def write(
    path: str | PathLike, automaton: TokenAutomaton, fingerprint: str, exact: bool = True, machine: dict | None = None
) -> None:
    """Write whole or not at all: to a temporary file beside it, then renamed. machine: the arrays of one (see `plain`)."""
    from safetensors.numpy import save

    path = Path(path)
    arrays = {k: np.ascontiguousarray(v) for k, v in (automaton._asdict() | (machine or {})).items()}
    metadata = {"format": FORMAT, "vocabulary": fingerprint, "sha256": _digest(arrays), "exact": str(exact)}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(save(arrays, metadata))
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read(path: str | PathLike, vocabulary: Vocabulary) -> tuple[TokenAutomaton, bool, GrammarMachine | None]:
    """The automaton, whether it is all of the constraint, and the machine if there is one.

    Raises CacheError unless the file is whole, of this format, and for this vocabulary; FileNotFoundError.
    """
    from safetensors import SafetensorError, safe_open

    if Path(path).is_dir():
        raise CacheError(f"{path} is a folder, not a compiled constraint; compile the constraint again")
    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CacheError(f"{path} was not written by this version; compile the constraint again")
            if metadata.get("vocabulary") != vocabulary.fingerprint:
                raise CacheError(f"{path} was compiled for another vocabulary; compile the constraint again")
            types = {k: file.get_slice(k).get_dtype() for k in file.keys()}
            arrays = (
                {k: file.get_tensor(k).copy() for k in file.keys()}
                if types in (_DTYPES, _DTYPES | plain.DTYPES)
                else {}
            )
    except (SafetensorError, UnicodeDecodeError) as error:
        raise CacheError(f"{path} is no compiled constraint ({str(error)[:80]}); compile it again") from None
    if not arrays or _digest(arrays) != metadata.get("sha256"):
        raise CacheError(f"{path} is corrupt; delete it and compile the constraint again")
    automaton, machine = TokenAutomaton(*(arrays.pop(k) for k in TokenAutomaton._fields)), None
    try:
        if not _consistent(automaton, vocabulary):
            raise ValueError("the automaton")
        if arrays:
            machine = plain.from_arrays(**arrays)
    except ValueError:
        raise CacheError(f"{path} contradicts itself; delete it and compile the constraint again") from None
    return automaton, metadata.get("exact") == "True", machine


def _consistent(a: TokenAutomaton, vocabulary: Vocabulary) -> bool:
    """Whether the arrays mean an automaton over this vocabulary. Anybody can write a file with a right checksum, and
    kernels read without looking at bounds."""
    states, count, ids = len(a.accept), len(a.member_offsets) - 1, len(vocabulary)
    if not (
        all(x.ndim == 1 for x in a)
        and (len(a.classes), len(a.offsets), len(a.distance)) == (ids, states + 1, states)
        and states > 0
        and _are_rows(a.offsets, a.symbols)
        and _are_rows(a.offsets, a.targets)
        and _are_rows(a.member_offsets, a.members)
        and _within(a.symbols, 0, count)
        and _within(a.targets, 0, states)
        and _within(a.members, 0, ids)
    ):
        return False
    of = np.full(ids, -1, np.int32)
    of[a.members] = np.repeat(np.arange(count), np.diff(a.member_offsets))
    source = np.repeat(np.arange(states), np.diff(a.offsets))
    ascending = np.diff(source * count + a.symbols) > 0
    onward = np.full(states, np.iinfo(np.int64).max)  # what finishes each state decreases to 0 along some way
    np.minimum.at(onward, source, a.distance[a.targets].astype(np.int64) + 1)
    return (
        (np.diff(a.member_offsets) > 0).all()
        and np.array_equal(of, a.classes)
        and len(a.members) == (of >= 0).sum()
        and (of[vocabulary.special] < 0).all()
        and bool(ascending.all())
        and np.array_equal(np.where(a.accept, 0, onward), a.distance)
    )


def _are_rows(offsets: np.ndarray, entries: np.ndarray) -> bool:
    return len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == len(entries) and bool((np.diff(offsets) >= 0).all())


def _within(values: np.ndarray, low: int, high: int) -> bool:
    return bool(((values >= low) & (values < high)).all())


def read_cached(name: str, vocabulary: Vocabulary) -> TokenAutomaton | None:
    """What the cache holds under this name; None, and the file removed, if it cannot be relied on."""
    path = folder() / f"{name}.safetensors"
    try:
        automaton, _, _ = read(path, vocabulary)
    except OSError:
        return None
    except CacheError:
        automaton = None
    with suppress(OSError):  # a folder that only others may write to
        if automaton is not None:
            os.utime(path)
        else:
            path.unlink(missing_ok=True)
    return automaton


def write_cached(name: str, automaton: TokenAutomaton, fingerprint: str) -> None:
    """Keep it if the folder can be written; drop the files used longest ago when it grows too large."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
        write(folder() / f"{name}.safetensors", automaton, fingerprint)
        files = sorted(folder().glob("*.safetensors"), key=lambda f: f.stat().st_mtime, reverse=True)
        total = 0
        for file in files:
            total += file.stat().st_size
            if total > CACHE_BYTES:
                file.unlink(missing_ok=True)
    except OSError:
        pass


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for key in sorted(arrays):
        digest.update(f"{key} {arrays[key].shape} {arrays[key].dtype}".encode())
        digest.update(arrays[key].tobytes())
    return digest.hexdigest()
