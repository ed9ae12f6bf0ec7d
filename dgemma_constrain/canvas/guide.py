"""What a search asks of a configuration: whether it can still read all that is pinned behind, and what that takes.

The pins of a canvas are pieces of text, and free positions gaps between them. Whatever tokens are written in a gap, the terminals
are a path through the spans of that text (`spans`); so a stack that cannot read on along any such path (`remainder`) leads to
no completion, and can be dropped; nothing is lost by that. What this leaves out is how tokens fall on characters, which is what
the cover knows. At the last free position before pins these are read at once, as they are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.interning import FULL
from dgemma_constrain.automata.kernels import kernel
from dgemma_constrain.automata.remainder import NO, Remainder, derive, fill, readable, rules_of
from dgemma_constrain.automata.stacks import DEAD, FAR, LIMIT
from dgemma_constrain.constraints.grammar.configurations import MISSING, accepts, read_bytes, shortest
from dgemma_constrain.constraints.grammar.guesses import BEGIN
from dgemma_constrain.constraints.grammar.spans import GAP, find_spans

ROOM = 1 << 24  # words of `Remainder.rest`, at most; what does not fit is text that is not known
PLACES = 2048  # of text, at most
NOTHING = np.zeros(0, np.uint8)
# In the place of a gap:
OFF, SAME, END = -1, -2, -3  # no guide; nothing new to ask; the text ends there


class Course(NamedTuple):
    """What is asked at each boundary, 0 … L + more tokens.

    gap   int64: of which gap (see `Remainder.gaps`), or OFF, SAME, END; once the bytes ahead[i] were read, which are pinned
    left  int64: how many positions there are in that gap
    """

    gap: np.ndarray
    ahead: list[np.ndarray]
    left: np.ndarray


@kernel
def required(machine, remainder, config, gap, ahead):
    """The fewest characters that must be written in a gap once `ahead` was read, FAR if nothing helps; or FULL, MISSING, GROW."""
    if len(ahead) > 0:
        config, _, _ = read_bytes(machine, config, ahead)
        if config == LIMIT:
            return np.int64(0)
        if config < 0:
            return np.int64(FAR) if config == DEAD else config
    if gap == END:
        answer = accepts(machine, config)
        return answer if answer == FULL or answer == MISSING else np.int64(FAR if answer == 0 else 0)
    if gap == OFF:
        return shortest(machine, config)
    items, scan = machine.stacks.heap.items, machine.scan
    place = np.int64(remainder.gaps[gap])
    result = np.int64(FAR)
    for i in range(config + 2, config + 1 + items[config], 2):
        stack_set, here = np.int64(items[i]), np.int64(items[i + 1])
        least = np.int64(FAR)
        for j in range(items[stack_set]):
            row = readable(remainder, machine.stacks, np.int64(items[stack_set + 1 + j]))
            if row < 0:
                return row
            cost = np.int64(remainder.cost[row, gap])
            if cost != NO:
                least = min(least, cost)
            behind = place + 1
            if remainder.bits[row, behind >> 6] >> np.uint64(behind & 63) & np.uint64(1) != 0:
                least = min(least, np.int64(0))
        if here != BEGIN and least < FAR:
            least = max(least + scan[here + 3], np.int64(0))
        result = min(result, least)
    return result


class Guide:
    """What a search asks: its `course`; and the `remainder`, which grows with the stacks that it meets."""

    def __init__(self, course: Course, *known):
        """known: of a `Remainder`, what does not depend on stacks."""
        self.course, self._known = course, known
        self.forget()

    def forget(self) -> None:
        """All stacks: their numbers are those of a machine's heap, which may be another one now."""
        self.remainder = _no_stacks(*self._known)

    def grow(self) -> None:
        self.remainder = _roomier(self.remainder)


def no_guide(last: int) -> Guide:
    """Of a canvas of so many positions, with those that may follow."""
    return Guide(_course(last, last, [], [], []), *UNKNOWN)


def guide_of(machine, vocabulary, pinned: np.ndarray, tail: str) -> Guide:
    """pinned int64[L + more tokens]: ids, or -1. Of the machine only what does not depend on its heap is asked."""
    if machine.automata is None:
        return no_guide(len(pinned))
    ending = [*vocabulary.eos_ids, *([] if vocabulary.pad_id is None else [vocabulary.pad_id])]
    stop = int(np.append(np.flatnonzero(np.isin(pinned, ending)), len(pinned))[0])
    free = np.concatenate([[False], pinned[:stop] < 0, [False]])
    runs = np.flatnonzero(np.diff(free.astype(np.int8))).reshape(-1, 2).tolist()  # of free positions
    pieces = [vocabulary.decode_bytes(pinned[a:b].tolist()) for a, b in _between(runs, stop)]
    text, gaps = [], []  # gaps: which one each run is; several are one if what is between is no whole character
    for piece in pieces:
        if not text or text[-1] != GAP:
            text.append(GAP)
        gaps.append(text.count(GAP) - 1)
        text += machine.lexer.classes(_whole_characters(piece)).tolist()
    known = _derived(machine, np.array(text, np.int32), tail)
    return Guide(_course(len(pinned), stop, runs, [g if g < len(known[2]) else OFF for g in gaps], pieces), *known)


def _derived(machine, text: np.ndarray, tail: str):
    """`rest`, `typed`, `gaps` and `any_more` of a `Remainder`, of as much of the text as there is room for."""
    rules, size = rules_of(machine.tables), min(len(text), PLACES)
    while True:
        cut = size < len(text)
        spans, reached = find_spans(machine.automata, text[:size], cut)
        gaps = np.flatnonzero(text[:size] == GAP)
        reached[gaps] = reached[gaps + 1] = reached[-1] = True
        number = (np.cumsum(reached) - 1).astype(np.int32)
        places = int(number[-1]) + 1 + (not cut)
        if len(rules.body) * places * ((places + 63) // 64 + len(gaps) // 8) <= ROOM or size < 2:
            break
        size //= 2
    spans[:, 0], spans[:, 2] = number[spans[:, 0]], number[spans[:, 2]]
    ends = [] if cut else [*(number[gaps] if tail == "any" else ()), number[-1]]
    more = np.array([(a, machine.terminals, places - 1, 0) for a in ends], np.int32).reshape(-1, 4)
    spans = np.concatenate([spans, more])
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    gap_of = np.full(places, -1, np.int64)
    gap_of[number[gaps]] = np.arange(len(gaps))
    return *derive(rules, spans, machine.ignored, np.int64(machine.terminals), gap_of, cut), number[gaps], cut


def _between(runs: list[list[int]], stop: int) -> list[tuple[int, int]]:
    """What follows each run, up to the next one."""
    return [(past, after[0]) for (_, past), after in zip(runs, [*runs[1:], [stop]])]


def _whole_characters(piece: bytes) -> str:
    """Without what is left of characters that begin before or end after it; what is no text in between has no class."""
    while piece and piece[0] & 0xC0 == 0x80:
        piece = piece[1:]
    for n in (1, 2, 3):
        if len(piece) >= n and piece[-n] >= 0xC0:
            if n < 2 + (piece[-n] >= 0xE0) + (piece[-n] >= 0xF0):
                piece = piece[:-n]
            break
    return piece.decode("utf-8", "surrogateescape")


def _course(last: int, stop: int, runs, gaps: list[int], pieces: list[bytes]) -> Course:
    gap, left = np.full(last + 1, OFF, np.int64), last - np.arange(last + 1)
    ahead = [NOTHING] * (last + 1)
    for k, ((first, past), (_, behind)) in enumerate(zip(runs, _between(runs, stop))):
        if gaps[k] == OFF:
            break
        gap[first:past], left[first:past] = gaps[k], past - np.arange(first, past)
        ended = k + 1 == len(runs)
        if past == behind and not ended:
            continue
        gap[past], ahead[past] = END if ended else gaps[k + 1], np.frombuffer(pieces[k], np.uint8).copy()
        gap[past + 1 : behind + ended] = SAME if gap[past] != OFF else OFF
        if gap[past] != OFF:
            left[past : behind + ended] = 0 if ended else runs[k + 1][1] - behind
    return Course(gap, ahead, left)


def _no_stacks(rest, typed, gaps, any_more: bool) -> Remainder:
    i32, rows = np.int32, 1 << 10
    return Remainder(
        rest, typed, gaps, any_more, np.full(2 * rows, -1, np.int64), np.empty(2 * rows, i32), np.empty(rows, i32),
        np.zeros(2, np.int64), np.empty((rows, rest.shape[2]), np.uint64), np.empty((rows, len(gaps)), np.uint8),
    )  # fmt: skip


def _roomier(old: Remainder) -> Remainder:
    keys, rows = np.full(4 * len(old.keys), -1, np.int64), np.empty(4 * len(old.keys), np.int32)
    held = old.keys >= 0
    fill(keys, rows, old.keys[held], old.rows[held])
    state, bits, cost = (np.concatenate([a, *3 * [np.empty_like(a)]]) for a in (old.state, old.bits, old.cost))
    return old._replace(keys=keys, rows=rows, state=state, bits=bits, cost=cost)


UNKNOWN = np.zeros((0, 1, 1), np.uint64), np.zeros((0, 0, 1), np.uint8), np.zeros(0, np.int32), False
