"""The dynamic program over (level × position × state): exact inference for a pushdown system, at any depth.

A *level* is a frame that was entered in a state at a boundary; level 0 is the whole text. Its items are the states that
can be reached at later boundaries with the same frames below: what happens inside a level doesn't depend on what lies
below it, so it is worked out once for all stacks (Lang 1974; for pushdown systems, Bouajjani, Esparza and Maler 1997). A
step that pushes begins a level, or joins those that began the same one: its *callers*. One that pops is an *exit*: every
caller that had pushed that frame goes on after it. Like every parser on a chart this works in any semiring (Goodman 1999,
"Semiring parsing"); ⊕ over the runs of a text is exact for (or, max), and for sums where a text has one run.

Levels are numbered by boundary, so callers have smaller numbers than those they call, and all items of a state at a
boundary are one row over levels: bits in these kernels, floats in those of `chart_weights`. What is not on a whole valid text is
found by bits, which is quick, and left out of what comes after.

N positions make N + 1 boundaries. `open` uint8[N, labels] says what may be read where; `weights` float64[N, labels].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.kernels import kernel
from dgemma_constrain.tokens.lift_network import MOVE, TO_POP, TO_PUSH


class System(NamedTuple):
    """A pushdown system as the kernels read it; the last state is the end of a text, state 0 the start.

    offsets, labels, kinds, targets  the rules of each state; what a TO_PUSH leads to is pair `with_` of `calls`, what a
        TO_POP leads to pair `with_` of `exits`
    step, step_with  the same for states that go on by themselves; MOVE: others
    calls    int32[C, 2]  frame, and entry (a number)
    exits    int32[P, 2]  frame, and the state after it
    entries  int32[E]     the states that levels begin in; those that push by themselves before what they lead to
    """

    offsets: np.ndarray
    labels: np.ndarray
    kinds: np.ndarray
    targets: np.ndarray
    with_: np.ndarray
    step: np.ndarray
    step_with: np.ndarray
    calls: np.ndarray
    exits: np.ndarray
    entries: np.ndarray
    frames: int


class Levels(NamedTuple):
    """The levels, in order: the boundary and the entry of each; first[j] is the first one from boundary j on.

    number int32[N+1, E]: the level of an entry at a boundary, or -1.
    """

    boundary: np.ndarray
    entry: np.ndarray
    first: np.ndarray
    number: np.ndarray


@kernel
def _or(out, row, words):
    for k in range(words):
        out[k] |= row[k]


@kernel
def _meet(a, b, words):
    for k in range(words):
        if a[k] & b[k] != 0:
            return True
    return False


@kernel
def _has(row, k):
    return (row[k >> 6] >> np.uint64(k & 63)) & np.uint64(1) != 0


@kernel
def _set(row, k):
    row[k >> 6] |= np.uint64(1) << np.uint64(k & 63)


@kernel
def _popping(step):
    """The states that pop by themselves."""
    found = np.empty(len(step), np.int64)
    n = 0
    for x in range(len(step)):
        if step[x] == TO_POP:
            found[n] = x
            n += 1
    return found[:n]


@kernel
def reach(system, open_, alive):
    """The boolean semiring, forwards. Returns the levels and rows of bits over them: reached[boundary, state],
    left[boundary, exit], callers[level, frame]. alive bool[N+1, S]: the states that may be at each boundary."""
    offsets, labels, kinds, targets, with_, step, step_with, calls, exits, entries, frames = system
    popping = _popping(step)
    length, states = len(open_), len(step)
    most = 1 + length * len(entries)
    words = (most + 63) >> 6
    reached = np.zeros((length + 1, states, words), np.uint64)
    left = np.zeros((length + 1, len(exits), words), np.uint64)
    callers = np.zeros((most, frames, words), np.uint64)
    calling = np.zeros((len(calls), words), np.uint64)  # at this boundary
    boundary, entry = np.zeros(most, np.int32), np.full(most, -1, np.int32)
    first = np.zeros(length + 2, np.int64)
    number = np.full((length + 1, len(entries)), -1, np.int32)
    some = np.zeros(states, np.bool_)  # states with any item at this boundary
    begun = np.zeros(len(entries), np.bool_)
    count = 1
    _set(reached[0, 0], np.int64(0))
    for j in range(length + 1):
        here = (count + 63) >> 6
        row, leaving = reached[j], left[j]
        for x in range(states):
            some[x] = False
            for k in range(here):
                some[x] |= row[x, k] != 0
        # What pops by itself, and what popped at the end of the last position: inner levels first.
        for level in range(count - 1, -1, -1):
            for x in popping:
                if _has(row[x], level):
                    _set(leaving[step_with[x]], level)
            for p in range(len(exits)):
                if _has(leaving[p], level) and alive[j, exits[p, 1]]:
                    _or(row[exits[p, 1]], callers[level, exits[p, 0]], (level + 63) >> 6)
                    some[exits[p, 1]] = True
        # New levels, by what was called: by tokens, and by what pushes by itself.
        for x in range(states):
            if some[x] and step[x] == TO_PUSH:
                _or(calling[step_with[x]], row[x], here)
        for e in range(len(entries)):
            begun[e] = False
        for c in range(len(calls)):
            for k in range(here):
                begun[calls[c, 1]] |= calling[c, k] != 0
        first[j] = count if j else 0
        for e in range(len(entries)):
            if begun[e] and alive[j, entries[e]]:
                x = entries[e]
                boundary[count], entry[count], number[j, e] = j, e, count
                _set(row[x], count)
                some[x] = True
                if step[x] == TO_PUSH:
                    begun[calls[step_with[x], 1]] = True
                    _set(calling[step_with[x]], count)
                count += 1
        here = (count + 63) >> 6
        for c in range(len(calls)):
            level = number[j, calls[c, 1]]
            if level >= 0:
                _or(callers[level, calls[c, 0]], calling[c], here)
            for k in range(here):
                calling[c, k] = 0
        if j == length:
            break
        for x in range(states):
            if not some[x]:
                continue
            for r in range(offsets[x], offsets[x + 1]):
                if not open_[j, labels[r]]:
                    continue
                if kinds[r] == MOVE:
                    if alive[j + 1, targets[r]]:
                        _or(reached[j + 1, targets[r]], row[x], here)
                elif kinds[r] == TO_PUSH:
                    _or(calling[with_[r]], row[x], here)
                else:
                    _or(left[j + 1, with_[r]], row[x], here)
    first[length + 1] = count
    return Levels(boundary[:count].copy(), entry[:count].copy(), first, number), reached, left, callers


@kernel
def keep(system, open_, levels, reached, left, callers):
    """Backwards: only what is on a whole text is kept. Returns `used` bool[N, labels]."""
    offsets, labels, kinds, targets, with_, step, step_with, calls, exits, entries, frames = system
    popping = _popping(step)
    length, states = len(open_), len(step)
    words = reached.shape[2]
    used = np.zeros(open_.shape, np.bool_)
    good = np.zeros(callers.shape, np.uint64)
    going = np.zeros((len(exits), words), np.uint64)  # levels that may leave so at boundary j + 1
    keeping = np.zeros(words, np.uint64)
    for x in range(states):
        for k in range(words):
            if x == states - 1 and k == 0:
                reached[length, x, k] &= np.uint64(1)
            elif step[x] == MOVE:
                reached[length, x, k] = 0
    for j in range(length, -1, -1):
        row = reached[j]
        here = (levels.first[j + 1] + 63) >> 6
        if j < length:
            for x in range(states):
                for k in range(here):
                    keeping[k] = 0
                for r in range(offsets[x], offsets[x + 1]):
                    if not open_[j, labels[r]]:
                        continue
                    kind = kinds[r]
                    if kind == TO_PUSH:
                        level = levels.number[j + 1, calls[with_[r], 1]]
                        if level < 0:
                            continue
                        onward = good[level, calls[with_[r], 0]]
                    elif kind == MOVE:
                        onward = reached[j + 1, targets[r]]
                    else:
                        onward = going[with_[r]]
                    if not used[j, labels[r]]:
                        used[j, labels[r]] = _meet(row[x], onward, here)
                    _or(keeping, onward, here)
                if step[x] == MOVE:
                    for k in range(here):
                        row[x, k] &= keeping[k]
        for x in range(states):  # what pushes by itself
            if step[x] == TO_PUSH:
                level = levels.number[j, calls[step_with[x], 1]]
                for k in range(here):
                    row[x, k] &= good[level, calls[step_with[x], 0], k] if level >= 0 else np.uint64(0)
        # Exits at this boundary, outer levels first: what pops by itself needs what the exit leads to.
        for p in range(len(exits)):
            for k in range(words):
                going[p, k] = 0
        for level in range(levels.first[j + 1]):
            for p in range(len(exits)):
                if _has(left[j, p], level):
                    w, more = exits[p, 0], (level + 63) >> 6
                    if _meet(callers[level, w], row[exits[p, 1]], more):
                        _set(going[p], level)
                        for k in range(more):
                            good[level, w, k] |= callers[level, w, k] & row[exits[p, 1], k]
            for x in popping:
                if _has(row[x], level) and not _has(going[step_with[x]], level):
                    row[x, level >> 6] &= ~(np.uint64(1) << np.uint64(level & 63))
    return used


@kernel
def live(levels, reached):
    """Which levels, bool[levels], and which states at all, bool[states], have an item that was kept."""
    length, states, words = reached.shape
    some, found = np.zeros(len(levels.boundary), np.bool_), np.zeros(states, np.bool_)
    for j in range(length):
        for x in range(states):
            for k in range(words):
                bits = reached[j, x, k]
                if bits != 0:
                    found[x] = True
                    for b in range(64):
                        if bits >> np.uint64(b) & np.uint64(1) != 0:
                            some[64 * k + b] = True
    return some, found
