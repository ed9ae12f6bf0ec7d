"""What a search asks of a configuration: whether it can still read all that is pinned behind, and how well that fits.

The pins of a canvas are pieces of text, and free positions gaps between them. Whatever tokens are written in a gap, the
terminals are a path through the spans of that text (`spans`); so a stack that cannot read on along any such path
(`remainder`) leads to no completion, and can be dropped: nothing is lost by that. What this leaves out is how tokens
fall on characters, which is what the cover knows. At the last free position before pins these are read at once, as they
are.

A path costs the characters that must be written in a gap beyond one for each of its positions. What costs nothing can
be written a character at a time, so it is what a search should keep to; but a token may also hold several characters,
so what costs something is only put last.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.interning import FULL
from dgemma_constrain.automata.kernels import kernel
from dgemma_constrain.automata.remainder import (
    NO,
    WHOLE,
    Remainder,
    derive,
    fill,
    improve,
    lead_on,
    lower,
    readable,
    row_of,
    rules_of,
)
from dgemma_constrain.automata.stacks import DEAD, FAR, LIMIT, advance
from dgemma_constrain.constraints.grammar.configurations import MISSING, accepts, read_bytes, shortest
from dgemma_constrain.constraints.grammar.composite import CompositeMachine
from dgemma_constrain.constraints.grammar.guesses import BEGIN, CALL, COMPOSITE, IGNORED, NONE, winners
from dgemma_constrain.constraints.grammar.spans import GAP, find_spans

ROOM = 1 << 26  # bytes of `Remainder.rest`, at most; what does not fit is text that is not known
PLACES = 2048  # of text, at most
ENOUGH = 24  # positions in a gap: so many hold whatever must be written there
NOTHING = np.zeros(0, np.uint8)
# Instead of a place:
OFF, SAME, END = -1, -2, -3  # no guide; nothing new to ask; the text ends there


class Course(NamedTuple):
    """What is asked at each boundary, int64[L + more tokens + 1].

    place  the place in the `Remainder` that goes with it, or OFF, SAME, END; once the bytes ahead[i] were read, which
           are pinned
    behind the place behind that gap
    """

    place: np.ndarray
    behind: np.ndarray
    ahead: list[np.ndarray]


@kernel
def required(machine, remainder, config, place, behind, ahead):
    """What it costs to read on once `ahead` was read, FAR if that cannot be; or FULL, MISSING, GROW. Of place OFF: no
    fewer characters complete the text."""
    if len(ahead) > 0:
        config, _, _ = read_bytes(machine, config, ahead)
        if config == LIMIT:
            return np.int64(0)
        if config < 0:
            return np.int64(FAR) if config == DEAD else config
    if place == END:
        answer = accepts(machine, config)
        return answer if answer == FULL or answer == MISSING else np.int64(FAR if answer == 0 else 0)
    if place == OFF:
        return shortest(machine, config)
    items = machine.stacks.heap.items
    if items[config + 2] != COMPOSITE:
        return _of_config(machine, remainder, config, np.int64(0), place, behind)
    result, width = np.int64(FAR), machine.composite.items.shape[1]
    for i in range(config + 3, config + 1 + items[config], width):
        state, inside = np.int64(items[i]), np.int64(items[i + 1])
        if inside == NONE:
            cost = np.int64(min(remainder.cost[state, place], remainder.cost[state, behind]))
            cost = cost if cost != NO else np.int64(FAR)
        else:
            cost = _of_config(machine, remainder, inside, state, place, behind)
        if cost < 0:
            return cost
        result = min(result, cost)
    return result


@kernel
def _of_config(machine, remainder, config, context, place, behind):
    """As `required`, of a grammar's configuration."""
    items = machine.stacks.heap.items
    result = np.int64(NO)
    for i in range(config + 2, config + 1 + items[config], 2):
        stack_set, here = np.int64(items[i]), np.int64(items[i + 1])
        if here == BEGIN:
            cost = min(
                _of_stacks(remainder, machine.stacks, stack_set, context, place),
                _of_stacks(remainder, machine.stacks, stack_set, context, behind),
            )
        else:
            cost = _under_way(machine, remainder, stack_set, here, context, place)
        if cost < 0:
            return cost
        result = min(result, cost)
    return result if result != NO else np.int64(FAR)


@kernel
def _of_stacks(remainder, stacks, stack_set, context, place):
    """What it costs one of several stacks to read on; FULL or GROW."""
    items = stacks.heap.items
    cost = np.int64(NO)
    for j in range(items[stack_set]):
        row = readable(remainder, stacks, np.int64(items[stack_set + 1 + j]), context)
        if row < 0:
            return row
        cost = min(cost, np.int64(remainder.cost[row, place]))
    return cost


@kernel
def _under_way(machine, remainder, stack_set, here, context, place):
    """What it costs to read on amid a terminal: whichever wins, it ends somewhere; FULL or GROW.

    It is as if it were written whole, but for what was read of it (`slack`).
    """
    heap, scan = machine.stacks.heap, machine.scan
    row = row_of(remainder, machine.stacks, stack_set, here, context)
    if row < 0:
        return row
    if remainder.state[row] != WHOLE:
        places = remainder.cost.shape[1]
        for a in range(places):
            remainder.cost[row, a] = NO
        terminals = winners(machine, here)
        if terminals == FULL:
            return terminals
        for i in range(heap.items[terminals]):
            t = np.int64(heap.items[terminals + 1 + i])
            onto = stack_set if t == IGNORED else advance(machine.stacks, stack_set, t)
            if onto == FULL:
                return onto
            for j in range(heap.items[onto] if onto >= 0 else 0):
                other = readable(remainder, machine.stacks, np.int64(heap.items[onto + 1 + j]), context)
                if other < 0:
                    return other
                if t == IGNORED:
                    lower(remainder.cost, row, remainder.cost[other])
                else:
                    improve(remainder.cost, row, other, remainder.read[t])
            if onto == LIMIT:
                for a in range(places):
                    remainder.cost[row, a] = 0
        remainder.state[row] = WHOLE
    cost = np.int64(remainder.cost[row, place])
    return cost if cost == NO else max(cost + scan[here + 3], np.int64(0))


class Guide:
    """What a search asks: its `course`; and the `remainder`, which grows with the stacks that it meets."""

    def __init__(self, course: Course, *known):
        """known: of a `Remainder`, what does not depend on stacks."""
        self.course, self._known = course, known
        self.forget()

    def forget(self) -> None:
        """All stacks: their numbers are those of a machine's heap, which may be another one now."""
        self.remainder = _no_stacks(*self._known)

    def grow(self, most: int) -> bool:
        """Make room for more stacks, unless their costs would be more than so many bytes."""
        if 2 * self.remainder.cost.size > most:
            return False
        self.remainder = _roomier(self.remainder)
        return True


def no_guide(last: int) -> Guide:
    """Of a canvas of so many positions, with those that may follow."""
    return Guide(_course(last, last, [], [], [], []), *UNKNOWN)


def guide_of(machine, vocabulary, pinned: np.ndarray, tail: str) -> Guide:
    """pinned int64[L + more tokens]: ids, or -1. Of the machine only what does not depend on its heap is asked."""
    ending = [*vocabulary.eos_ids, *([] if vocabulary.pad_id is None else [vocabulary.pad_id])]
    stop = int(np.append(np.flatnonzero(np.isin(pinned, ending)), len(pinned))[0])
    free = np.concatenate([[False], pinned[:stop] < 0, [False]])
    runs = np.flatnonzero(np.diff(free.astype(np.int8))).reshape(-1, 2).tolist()  # of free positions
    pieces = [vocabulary.decode_bytes(pinned[a:b].tolist()) for a, b in _between(runs, stop)]
    text, sizes, gaps = [], [], []  # gaps: which one each run is; one for several with no whole character in between
    for piece, (first, past) in zip(pieces, runs):
        if not text or text[-1] != GAP:
            text.append(GAP)
            sizes.append(0)
        sizes[-1] += past - first
        gaps.append(len(sizes) - 1)
        text += machine.lexer.classes(_whole_characters(piece)).tolist()
    tops, *known = _derived(machine, np.array(text, np.int32), np.array(sizes), tail)
    return Guide(_course(len(pinned), stop, runs, gaps, pieces, tops), *known)


def _derived(machine, text: np.ndarray, sizes: np.ndarray, tail: str):
    """Where the gaps of a text are, and of a `Remainder` what does not depend on stacks, for as much of the text as there
    is room for.

    A gap is a row of places: so many characters may be written there, at no cost, as are left, or ENOUGH; the last is
    where none is. sizes: positions of each gap. tops: the first and the last place of each gap.
    """
    rules, size = rules_of(machine.tables), min(len(text), PLACES)
    while True:
        cut = size < len(text)
        spans, reached = find_spans(machine.automata, text[:size], cut)
        gaps = np.flatnonzero(text[:size] == GAP)
        reached[gaps] = reached[gaps + 1] = reached[-1] = True
        count = reached.astype(np.int64)
        count[gaps] = 1 + np.minimum(sizes[: len(gaps)], ENOUGH)
        past = np.cumsum(count)
        places = int(past[-1]) + (not cut)
        if len(rules.body) * places**2 <= ROOM or size < 2:
            break
        size //= 2
    first = past - count
    source, terminal, target, typed = spans.T.astype(np.int64)
    copies = count[source]  # one from each place of a gap
    source, terminal, target, typed = (np.repeat(a, copies) for a in (source, terminal, target, typed))
    left = past[source] - 1 - (np.arange(len(source)) - np.repeat(np.cumsum(copies) - copies, copies) + first[source])
    written = np.where(left == ENOUGH, 0, typed)
    inside = target == source
    arcs = np.stack([
        past[source] - 1 - left, terminal,
        np.where(inside & (count[source] > 1), past[target] - 1 - np.maximum(left - written, 0), first[target]),
        np.maximum(written - left, 0),
    ], axis=1)  # fmt: skip
    ends = [] if cut else [*(k for g in (gaps if tail == "any" else ()) for k in range(first[g], past[g])), first[size]]
    arcs, tops = arcs.astype(np.int32), list(zip(first[gaps].tolist(), (past[gaps] - 1).tolist()))
    if isinstance(machine, CompositeMachine):
        return tops, *_of_skeleton(machine, rules, arcs, places, ends, cut)
    rest, read = _rests(machine, rules, [*arcs, *((a, machine.terminals, places - 1, 0) for a in ends)], places, cut)
    return tops, rest, read, cut, -1, np.zeros((0, places), np.uint8)


def _rests(machine, rules, arcs: list, places: int, cut: bool) -> tuple[np.ndarray, np.ndarray]:
    arcs = np.array(arcs, np.int32).reshape(-1, 4)
    arcs = arcs[np.argsort(arcs[:, 0], kind="stable")]
    return derive(rules, arcs, machine.ignored, np.int64(machine.terminals), np.int64(places), cut)


def _of_skeleton(machine: CompositeMachine, rules, arcs: np.ndarray, places: int, ends: list[int], cut: bool):
    """The same of a composite: a grammar's text may end anywhere, and the skeleton's states are the contexts."""
    inner = [*arcs[arcs[:, 1] < machine.terminals]]
    inner += [(a, end, a, 0) for a in range(places - 1) for end in sorted(machine.ending)]
    rest, read = _rests(machine, rules, inner, places, cut)
    never = np.full((places, places), NO, np.uint8)
    between = [never.copy() for _ in machine.characters]
    for a, terminal, b, cost in arcs[arcs[:, 1] >= machine.terminals].tolist():
        of = between[terminal - machine.terminals]
        of[b, a] = min(of[b, a], cost)
    here = np.where(np.eye(places, dtype=bool), 0, never)
    heads = np.flatnonzero(rules.first & (rules.head == machine.whole))
    for slot, what in machine.parts.marks:
        begun = heads[rules.body[heads] == machine.begins[what]] if slot == CALL else []
        between.append(np.minimum.reduce([never, *(rest[k + 1] for k in begun)]) if slot == CALL else here)
    links = machine.edges.copy()
    number = np.zeros(machine.machine.classes + len(machine.parts.marks), np.int32)
    number[machine.characters] = np.arange(len(machine.characters))
    number[machine.machine.classes :] = len(machine.characters) + np.arange(len(machine.parts.marks))
    links[:, 2] = number[links[:, 2]]
    cost = np.full((machine.parts.skeleton.states, places), NO, np.uint8)
    cost[np.ix_(machine.parts.skeleton.accept, ends)] = 0
    cost[:, -1] = 0 if cut else NO
    lead_on(cost, links, np.array(between, np.uint8).reshape(-1, places, places))
    return rest, read, cut, machine.whole, cost


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


def _course(last: int, stop: int, runs, gaps: list[int], pieces: list[bytes], tops: list[tuple[int, int]]) -> Course:
    """gaps: which gap each run of free positions is. tops: the first and last place of each gap that is known."""
    place, behind = np.full(last + 1, OFF, np.int64), np.zeros(last + 1, np.int64)
    ahead = [NOTHING] * (last + 1)
    for k, ((first, past), (_, after)) in enumerate(zip(runs, _between(runs, stop))):
        if gaps[k] >= len(tops):
            break
        low = tops[gaps[k]][1]
        place[first:past] = np.maximum(low - past + np.arange(first, past), tops[gaps[k]][0])
        behind[first:past] = low + 1
        ended, known = k + 1 == len(runs), k + 1 < len(runs) and gaps[k + 1] < len(tops)
        if ended or known:
            place[past : after + ended] = SAME
        if known:
            place[past], behind[past] = tops[gaps[k + 1]][0], tops[gaps[k + 1]][1] + 1
        elif ended:
            place[past] = END
        ahead[past] = np.frombuffer(pieces[k], np.uint8).copy() if ended or known else NOTHING
    return Course(place, behind, ahead)


def _no_stacks(rest, read, any_more: bool, whole: int, contexts: np.ndarray) -> Remainder:
    i32, rows = np.int32, (1 << 10) << len(contexts).bit_length()
    cost = np.empty((rows, rest.shape[2]), np.uint8)
    cost[: len(contexts)] = contexts
    return Remainder(
        rest, read, any_more, np.int64(whole), np.full(2 * rows, -1, np.int64), np.empty(2 * rows, i32),
        np.empty(rows, i32), np.array([len(contexts)]), cost,
    )  # fmt: skip


def _roomier(old: Remainder) -> Remainder:
    keys, rows = np.full(2 * len(old.keys), -1, np.int64), np.empty(2 * len(old.keys), np.int32)
    held = old.keys >= 0
    fill(keys, rows, old.keys[held], old.rows[held])
    state, cost = (np.concatenate([a, np.empty_like(a)]) for a in (old.state, old.cost))
    return old._replace(keys=keys, rows=rows, state=state, cost=cost)


UNKNOWN = np.zeros((0, 1, 1), np.uint8), np.zeros((0, 1, 1), np.uint8), False, -1, np.zeros((0, 1), np.uint8)
