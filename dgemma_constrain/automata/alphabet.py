"""Alphabets: the characters cut into classes that a given automaton cannot tell apart.

An automaton over text would have a million columns; in practice a handful of classes is enough. Every DFA carries its
own alphabet, and two of them are made comparable by their common refinement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from dgemma_constrain.automata.charset import ANY, Charset
from dgemma_constrain.automata.kernels import kernel, random_words, sort


@dataclass(frozen=True, eq=False)
class Alphabet:
    """A partition of the characters (and of any markers) into classes 0 … size-1, numbered by first character.

    cuts    int32[n]  strictly increasing, cuts[0] = 0: where runs of one class begin
    classes int32[n]  the class of the run [cuts[i], cuts[i+1]), or -1 where there is no character
    size    number of classes
    """

    cuts: np.ndarray
    classes: np.ndarray
    size: int

    def of(self, points: np.ndarray) -> np.ndarray:
        """The class of each code point, int32, -1 for what is no character."""
        return self.classes[np.searchsorted(self.cuts, points, "right") - 1]

    def charset(self, classes: Sequence[int]) -> Charset:
        """The characters of some classes."""
        wanted = np.zeros(self.size + 1, bool)  # and one for -1, the last
        wanted[np.asarray(classes, np.intp)] = True
        inside = np.zeros(len(self.classes) + 2, bool)
        inside[1:-1] = wanted[self.classes]
        change = inside[1:] != inside[:-1]
        return Charset(np.append(self.cuts, self.cuts[-1] + 1)[change].astype(np.int32))

    def first(self) -> np.ndarray:
        """One character of each class (the first), int32[size]."""
        points = np.empty(self.size, np.int32)
        points[self.classes[::-1][self.classes[::-1] >= 0]] = self.cuts[::-1][self.classes[::-1] >= 0]
        return points


def _numbered(cuts: np.ndarray, labels: np.ndarray) -> Alphabet:
    """An alphabet from runs with arbitrary labels (0 = no character)."""
    keep = np.concatenate([[True], labels[1:] != labels[:-1]])
    cuts, labels = cuts[keep], labels[keep]
    number = {0: -1}
    classes = [number.setdefault(label, len(number) - 1) for label in labels.tolist()]
    return Alphabet(cuts.astype(np.int32), np.array(classes, np.int32), len(number) - 1)


def alphabet_of(charsets: Sequence[Charset]) -> Alphabet:
    """The coarsest alphabet in which each of `charsets` is a union of classes.

    Each set toggles a random 64-bit word at its bounds; the running XOR is a signature of the sets a run lies in.
    """
    random = random_words(len(charsets) + 1)
    sets = [ANY, *charsets]
    points, ends = _bounds(sets)
    words = np.repeat(random, np.diff(ends))
    order = np.argsort(points, kind="stable")
    points, running = points[order], np.bitwise_xor.accumulate(words[order])
    last = np.append(points[1:] != points[:-1], True)
    cuts, labels = points[last], running[last]
    if cuts[0] != 0:
        cuts, labels = np.concatenate([[0], cuts]), np.concatenate([[0], labels])
    return _numbered(cuts, labels)


def _bounds(charsets: Sequence[Charset]) -> tuple[np.ndarray, np.ndarray]:
    """The bounds of all sets, int32[…], and where each one's begin and end among them, int64[n+1]."""
    keys = [charset.key for charset in charsets]
    return np.frombuffer(b"".join(keys), np.int32), np.cumsum([0, *map(len, keys)]) // 4


def members(alphabet: Alphabet, charsets: Sequence[Charset]) -> tuple[np.ndarray, np.ndarray]:
    """The classes of each set, as rows: (offsets int64[n+1], classes int32[…])."""
    bounds, ends = _bounds(charsets)
    return _members(alphabet.classes, alphabet.size, np.searchsorted(alphabet.cuts, bounds), ends)


@kernel
def _members(classes, size, runs, ends):
    """The distinct classes, ascending, of the runs [runs[i], runs[i+1]) for even i in each ends[k]:ends[k+1]."""
    total = np.int64(0)
    for i in range(0, len(runs), 2):
        total += runs[i + 1] - runs[i]
    offsets, found = np.zeros(len(ends), np.int64), np.empty(total, np.int32)
    stamp = np.full(size + 1, -1, np.int64)  # and one for -1, the last
    used = np.int64(0)
    for k in range(len(ends) - 1):
        stamp[size] = k
        for i in range(ends[k], ends[k + 1], 2):
            for run in range(runs[i], runs[i + 1]):
                if stamp[classes[run]] != k:
                    stamp[classes[run]] = k
                    found[used] = classes[run]
                    used += 1
        sort(found[offsets[k] : used])
        offsets[k + 1] = used
    return offsets, found[:used].copy()


def refine(a: Alphabet, b: Alphabet) -> tuple[Alphabet, np.ndarray, np.ndarray]:
    """The common refinement, and for each of its classes the class of `a` and of `b` (-1 where there is none)."""
    cuts = np.union1d(a.cuts, b.cuts)
    in_a, in_b = a.of(cuts), b.of(cuts)
    joint = _numbered(cuts, (in_a.astype(np.int64) + 1) * (b.size + 1) + in_b + 1)
    points = joint.first()
    return joint, a.of(points), b.of(points)


def merge_classes(alphabet: Alphabet, new_class: np.ndarray) -> Alphabet:
    """The coarser alphabet after renaming class c to new_class[c]; `new_class` must number by first appearance."""
    classes = np.where(alphabet.classes < 0, -1, new_class[alphabet.classes])
    keep = np.concatenate([[True], classes[1:] != classes[:-1]])
    return Alphabet(alphabet.cuts[keep], classes[keep].astype(np.int32), int(new_class.max(initial=-1)) + 1)
