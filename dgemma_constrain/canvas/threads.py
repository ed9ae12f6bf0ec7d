"""Rows of logits shared among threads; the kernels hold no lock."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_threads(), thread_name_prefix="dgemma-canvas")


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _threads() -> int:
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def in_threads(work, rows: int) -> list:
    """work(slice) over `rows` rows cut among threads; the results in order."""
    cuts = np.linspace(0, rows, min(_threads(), max(1, rows // 4)) + 1).astype(int)
    pieces = [slice(a, b) for a, b in zip(cuts, cuts[1:])]
    return [work(pieces[0])] if len(pieces) == 1 else list(_pool().map(work, pieces))
