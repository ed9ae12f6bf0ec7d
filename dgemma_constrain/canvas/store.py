"""Compiled constraints on disk: safetensors, so nothing is unpickled, with a checksum, so nothing is trusted."""

from __future__ import annotations

import hashlib
import os
import tempfile
from os import PathLike
from pathlib import Path

import numpy as np

from dgemma_constrain.errors import CacheError
from dgemma_constrain.tokens.lift import TokenAutomaton
from dgemma_constrain.tokens.vocabulary import Vocabulary

FORMAT = "dgemma_constrain token automaton 1"
CACHE_BYTES = 256 * 2**20  # the oldest files go when the folder grows past this

_DTYPES = dict(
    classes=np.int32, member_offsets=np.int64, members=np.int32, offsets=np.int64,
    symbols=np.int32, targets=np.int32, accept=np.bool_, distance=np.int32,
)  # fmt: skip


def write(path: str | PathLike, automaton: TokenAutomaton, fingerprint: str) -> None:
    """Write whole or not at all: to a temporary file beside it, then renamed."""
    from safetensors.numpy import save

    path = Path(path)
    arrays = {k: np.ascontiguousarray(v) for k, v in automaton._asdict().items()}
    metadata = {"format": FORMAT, "vocabulary": fingerprint, "sha256": _digest(arrays)}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(save(arrays, metadata))
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read(path: str | PathLike, vocabulary: Vocabulary) -> TokenAutomaton:
    """Raises CacheError unless the file is whole, of this format, and for this vocabulary; FileNotFoundError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CacheError(f"{path} was not written by this version; compile the constraint again")
            if metadata.get("vocabulary") != vocabulary.fingerprint:
                raise CacheError(f"{path} was compiled for another vocabulary; compile the constraint again")
            arrays = {k: file.get_tensor(k).copy() for k in file.keys()}
    except (SafetensorError, UnicodeDecodeError, IsADirectoryError) as error:
        raise CacheError(f"{path} is no compiled constraint ({str(error)[:80]}); compile it again") from None
    sound = {k: a.dtype for k, a in arrays.items()} == _DTYPES and _digest(arrays) == metadata.get("sha256")
    if not sound:
        raise CacheError(f"{path} is corrupt; delete it and compile the constraint again")
    return TokenAutomaton(**arrays)


def folder() -> Path:
    """Where compiled constraints are kept: $DGEMMA_CACHE, or the user's cache folder."""
    if "DGEMMA_CACHE" in os.environ:
        return Path(os.environ["DGEMMA_CACHE"])
    from platformdirs import user_cache_path

    return user_cache_path("dgemma_constrain")


def read_cached(name: str, vocabulary: Vocabulary) -> TokenAutomaton | None:
    """What the cache holds under this name; None, and the file removed, if it cannot be relied on."""
    path = folder() / f"{name}.safetensors"
    try:
        automaton = read(path, vocabulary)
        os.utime(path)
        return automaton
    except CacheError:
        path.unlink(missing_ok=True)
    except OSError:
        pass
    return None


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
