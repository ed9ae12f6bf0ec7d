"""NFA fragments: how constraints are put together before they are made deterministic.

Thompson's construction in flat arrays: one start state (0), one accepting state (the last), edges labelled with
character sets, and ε-edges. Every combinator is a few array operations, so a repeat of 2,000 copies is one tiling.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Sequence

import numpy as np

from dgemma_constrain.automata.charset import Charset, char
from dgemma_constrain.automata.kernels import kernel
from dgemma_constrain.errors import LimitExceeded

MAX_EDGES = 20_000_000


@dataclass(frozen=True, eq=False)
class NFA:
    """States 0 … states-1; 0 is the start, states-1 the only accepting one.

    edges  int32[E, 3]  rows (source, index into `charsets`, target)
    jumps  int32[J, 2]  ε-edges (source, target)
    """

    states: int
    edges: np.ndarray
    jumps: np.ndarray
    charsets: tuple[Charset, ...]


def _rows(*rows: Sequence[int], width: int) -> np.ndarray:
    return np.array(rows, np.int32).reshape(-1, width)


EPSILON = NFA(1, _rows(width=3), _rows(width=2), ())
NOTHING = NFA(2, _rows(width=3), _rows(width=2), ())


def symbol(charset: Charset) -> NFA:
    """One character out of a set."""
    return NFA(2, _rows((0, 0, 1), width=3), _rows(width=2), (charset,)) if charset else NOTHING


def literal(text: str) -> NFA:
    """Exactly this text."""
    distinct = {c: i for i, c in enumerate(dict.fromkeys(text))}
    steps = np.arange(len(text), dtype=np.int32)
    labels = np.fromiter((distinct[c] for c in text), np.int32, len(text))
    edges = np.stack([steps, labels, steps + 1], 1).astype(np.int32)
    return NFA(len(text) + 1, edges, _rows(width=2), tuple(map(char, distinct)))


def side_by_side(parts: Sequence[NFA], starts: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[Charset, ...]]:
    """The edges, jumps and charsets of fragments whose states begin at `starts`, int32[…]."""
    if len(parts) == 1:
        part, start = parts[0], np.int32(starts[0])
        return part.edges + start * np.array([1, 0, 1], np.int32), part.jumps + start, part.charsets
    own = {id(part.charsets): part.charsets for part in parts}  # often the same tuple of sets, or the same sets
    places = dict(zip(own, accumulate(map(len, own.values()), initial=0)))  # where the names of a tuple's sets begin
    keys = [charset.key for charset in chain.from_iterable(own.values())]
    table = dict(zip(keys, chain.from_iterable(own.values())))
    number = dict(zip(table, range(len(table))))
    names = np.array([number[key] for key in keys], np.int32)
    edges = np.concatenate([part.edges for part in parts], dtype=np.int32)
    jumps = np.concatenate([part.jumps for part in parts], dtype=np.int32)
    sizes = [size for part in parts for size in (len(part.edges), len(part.jumps), places[id(part.charsets)])]
    _move(edges, jumps, np.array(sizes, np.int64).reshape(-1, 3), starts, names)
    return edges, jumps, tuple(table.values())


@kernel
def _move(edges, jumps, sizes, starts, names):
    """Number states from `starts` on, and charsets by `names`, in place; sizes: of each fragment how many edges and jumps,
    and where its names begin."""
    e = j = np.int64(0)
    for k in range(len(starts)):
        for _ in range(sizes[k, 0]):
            edges[e, 0] += starts[k]
            edges[e, 1] = names[sizes[k, 2] + edges[e, 1]]
            edges[e, 2] += starts[k]
            e += 1
        for _ in range(sizes[k, 1]):
            jumps[j, 0] += starts[k]
            jumps[j, 1] += starts[k]
            j += 1


def _together(parts: Sequence[NFA], first: int) -> tuple[int, list, list, tuple[Charset, ...], np.ndarray, np.ndarray]:
    """Lay fragments side by side from state `first` on: next free state, edges, jumps, charsets, starts, accepts."""
    ends = first + np.cumsum([part.states for part in parts], dtype=np.int32)
    starts = np.append(np.int32(first), ends[:-1])
    edges, jumps, charsets = side_by_side(parts, starts)
    return int(ends[-1]), [edges], [jumps], charsets, starts, ends - 1


def _assemble(states: int, edges: list, jumps: list, charsets: tuple[Charset, ...]) -> NFA:
    return NFA(states, np.concatenate(edges).astype(np.int32), np.concatenate(jumps).astype(np.int32), charsets)


def concat(parts: Sequence[NFA]) -> NFA:
    """One after the other."""
    if not parts:
        return EPSILON
    if len(parts) == 1:
        return parts[0]
    free, edges, jumps, charsets, starts, accepts = _together(parts, 0)
    jumps.append(np.stack([accepts[:-1], starts[1:]], 1))
    return _assemble(free, edges, jumps, charsets)


def union(parts: Sequence[NFA]) -> NFA:
    """Any one of them."""
    if not parts:
        return NOTHING
    if len(parts) == 1:
        return parts[0]
    free, edges, jumps, charsets, starts, accepts = _together(parts, 1)
    jumps.append(np.stack([np.zeros_like(starts), starts], 1))
    jumps.append(np.stack([accepts, np.full_like(accepts, free)], 1))
    return _assemble(free + 1, edges, jumps, charsets)


def star(part: NFA) -> NFA:
    """Any number of times, none included."""
    end = part.states + 1
    edges = part.edges + np.array([1, 0, 1], np.int32)
    extra = _rows((0, 1), (0, end), (end - 1, 1), (end - 1, end), width=2)
    return NFA(end + 1, edges, np.concatenate([part.jumps + 1, extra]), part.charsets)


def repeat(part: NFA, least: int, most: int | None) -> NFA:
    """From `least` to `most` times in a row (None: no upper bound)."""
    if most is None:
        return concat([_copies(part, least, least), star(part)]) if least else star(part)
    return _copies(part, least, most)


def _copies(part: NFA, least: int, most: int) -> NFA:
    if most == 0:
        return EPSILON
    if most * (len(part.edges) + len(part.jumps) + part.states) > MAX_EDGES:
        raise LimitExceeded(
            f"a repeat of up to {most} copies of something with {part.states} states needs more than "
            f"{MAX_EDGES:,} edges; lower the upper bound or leave it open"
        )
    # A fresh joint before each copy: jumping to the end from a copy's own start would also skip out of its loops.
    size = part.states + 1
    shift = (np.arange(most, dtype=np.int32) * size)[:, None, None]
    end = most * size
    edges = (part.edges[None] + np.array([1, 0, 1], np.int32) + shift * np.array([1, 0, 1], np.int32)).reshape(-1, 3)
    jumps = (part.jumps[None] + 1 + shift).reshape(-1, 2)
    joints = np.arange(most, dtype=np.int32) * size
    enter = np.stack([joints, joints + 1], 1)
    leave = np.stack([joints + size - 1, joints + size], 1)
    skip = np.stack([joints[least:], np.full(most - least, end, np.int32)], 1)
    return _assemble(end + 1, [edges], [jumps, enter, leave, skip], part.charsets)


def copies_of(part: NFA, least: int, most: int) -> tuple[int, int, int]:
    """Where in `repeat(part, least, most)` the copies are whose end may be the end: first state, state after the last, size."""
    size = part.states + 1
    return max(least - 1, 0) * size, most * size, size


def strings(texts: Sequence[str]) -> NFA:
    """Any one of many texts, as a trie: thousands of them cost what their characters cost."""
    ordered = sorted(set(texts))
    points = np.frombuffer("".join(ordered).encode("utf-32-le", "surrogatepass"), np.int32)
    distinct, labels = np.unique(points, return_inverse=True)
    ends = np.cumsum([len(t) for t in ordered], dtype=np.int64)
    edges, leaves = _trie(labels.astype(np.int32), ends)
    accept = len(edges) + 1
    jumps = np.stack([leaves, np.full_like(leaves, accept)], 1)
    return NFA(accept + 1, edges, jumps, tuple(char(chr(p)) for p in distinct))


@kernel
def _trie(labels, ends):
    """Edges of the trie of sorted strings (labels[ends[i-1]:ends[i]]), and the state where each string ends."""
    edges = np.empty((len(labels), 3), np.int32)
    leaves = np.empty(len(ends), np.int32)
    path = np.zeros(len(labels) + 1, np.int32)  # states along the current string
    used = 0
    start = previous = np.int64(0)
    for i in range(len(ends)):
        length = ends[i] - start
        shared = 0
        if i:
            while shared < min(length, start - previous) and labels[start + shared] == labels[previous + shared]:
                shared += 1
        for k in range(shared, length):
            edges[used, 0] = path[k]
            edges[used, 1] = labels[start + k]
            used += 1
            edges[used - 1, 2] = used
            path[k + 1] = used
        leaves[i] = path[length]
        previous, start = start, ends[i]
    return edges[:used], leaves
