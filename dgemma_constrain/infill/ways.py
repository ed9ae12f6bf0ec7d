"""The cheapest ways from what a hole's text has left open to the text right of it: a shortest path over LR stacks, in a kernel.

What is left of the hole, and a beginning of what is written in it, are a few stacks of LR states. From a stack two things can
be done at the costs that `yields` has computed: finish one of the productions that its top state is in the middle of, which
pops it and pushes what it was reduced to; or write what leads to a state that shifts the first token right of the hole. A
shortest path over these steps (Dijkstra 1959), of which there are few, since all stacks are the first one cut off and one state
on top, gives the cheapest ways to close. It is the least-cost repair of a parser (Diekmann and Tratt 2020, "Don't panic!") that
only inserts, and whose insertions are whole productions.
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.interning import FULL, intern
from dgemma_constrain.automata.kernels import kernel
from dgemma_constrain.infill.candidates import _decoded
from dgemma_constrain.infill.lexer import TOUCHED, token
from dgemma_constrain.infill.recogniser import COLLECT, NEVER, _blank, run
from dgemma_constrain.infill.stacks import _shifted, _stack, new_item
from dgemma_constrain.infill.tables import ACCEPT, SHIFT
from dgemma_constrain.infill.yields import NEVER as DEAR

WAYS, STEPS, OPEN = 12, 24, 24  # ways to close that are tried; steps of a way; parses of an open token
AHEAD = 24  # tokens right of the hole of which the first that is no comment is looked for
_FOLLOWING = np.array([ord(c) for c in "\"'`\n a);{"], np.int32)


@kernel
def goals(t, block, text, at, saved, size, room, distance):
    """Fill in the distance of the states that shift the text's first token from `at` on, with the scanner's state saved[:size].

    States that take more of the text for one token are further away: most of them stand in a string or a comment, which would
    have to end somewhere, too.
    """
    least = np.int64(DEAR)
    for state in range(len(distance)):
        distance[state] = DEAR
        place, n = np.int64(at), size
        for j in range(size):
            room[1, j] = saved[j]
        for _ in range(AHEAD):
            found, end, n = token(t, block, text, np.int64(state), place, room[1], n, room[0])
            if found < 0:
                break
            row = t.table[state, found]
            extra = False
            for a in range(t.starts[row], t.starts[row + 1]):
                if t.actions[a, 0] == ACCEPT or t.actions[a, 0] == SHIFT:
                    extra = t.actions[a, 0] == SHIFT and t.actions[a, 1] == 0
                    distance[state] = end
                    least = min(least, end)
            if not extra or end == place:
                break
            distance[state] = DEAR  # a comment, which can stand anywhere
            place = end
            for j in range(n):
                room[1, j] = room[0, j]
    for state in range(len(distance)):
        if distance[state] < DEAR:
            distance[state] -= least


@kernel
def spread(source, symbol, target, cost, distance, way):
    """Given the distance of the states that are goals themselves, and DEAR of others, fill in those of all, and the ways."""
    changed = True
    while changed:
        changed = False
        for e in range(len(source)):
            total = cost[symbol[e]] + distance[target[e]]
            if total < distance[source[e]]:
                distance[source[e]] = total
                way[source[e]] = e
                changed = True


@kernel
def ways(
    t,
    words,
    y_starts,
    y_items,
    distance,
    block,
    work,
    text,
    left,
    data,
    ends,
    items,
    queue,
    first,
    stamp,
    begun,
    found,
    costs,
):
    """For candidates data[ends[i]:ends[i+1]] from the `first` on: the cheapest WAYS to close.

    found int32[N, WAYS, STEPS]: the items that are finished, one after the other, then -1 - the state that the goal is reached
    from; costs int32[N, WAYS], DEAR where there are no more. begun: a terminal that what is added begins with, or 0. Returns
    how many candidates were done before there was no room left.
    """
    starts, codes = np.empty(len(items), np.int32), np.empty(len(text), np.int32)  # text has room for one more
    for j in range(len(left)):
        text[j] = left[j]
    for i in range(first, len(costs)):
        for w in range(WAYS):
            costs[i, w] = DEAR
        n = _decoded(data, ends[i], ends[i + 1], codes, False)
        if n < 0:
            continue
        cursor = len(left)
        for j in range(n):
            text[cursor + j] = codes[j]
        for j in range(len(items)):
            item = new_item(work, items[j, 0], cursor - items[j, 1], items[j, 2])
            if item == FULL:
                return i
            starts[j] = item
        view = text[: cursor + n]
        opened = run(t, words, block, view, work, starts, COLLECT, NEVER, stamp + i - first + 1, codes)
        if opened == FULL:
            return i
        count = np.int64(0)
        for j in range(opened):
            count = _behind(t, block, work, text, cursor + n, np.int64(work.opened[j]), queue, count)
            if count == FULL:
                return i
        if begun:
            count = _after(t, work, queue, count, begun)
            if count == FULL:
                return i
        if _cheapest(t, y_starts, y_items, distance, work, queue, count, found[i], costs[i]) == FULL:
            return i
    return len(costs)


@kernel
def _behind(t, block, work, text, stop, item, queue, count):
    """Put the stacks behind an item's open text, up to `stop`, into the queue, and return how long that is now. FULL.

    A token that depends on what follows is taken for each of those that it is when one character more follows.
    queue int32[STACKS, 5]: a stack, its cost, the row it came from, by which item, whether it is done.
    """
    todo, top = np.empty(OPEN, np.int32), np.int64(1)
    todo[0] = item
    for i in range(OPEN):
        if i >= top:
            break
        items, now = work.heap.items, np.int64(todo[i])
        node, at, scanner = np.int64(items[now + 1]), np.int64(items[now + 2]), np.int64(items[now + 3])
        if _blank(text[:stop], at):
            count = _queue(queue, count, node, np.int64(i > 0), np.int64(-1), np.int64(-1))
            continue
        last, saved = np.int64(-1), np.int64(items[scanner] - 4)
        for probe in range(-1, len(_FOLLOWING)):
            text[stop] = _FOLLOWING[max(probe, 0)]
            for j in range(saved):
                work.saved[j] = items[scanner + 1 + j]
            symbol, end, size = token(
                t, block, text[: stop + (probe >= 0)], np.int64(items[node + 1]), at, work.saved, saved, work.room
            )
            if symbol >= 0 and end <= stop and symbol != last:
                last = symbol
                top = _onward(t, work, node, symbol, end, size, todo, top)
                if top == FULL:
                    return top
            if probe < 0 and not block[TOUCHED]:
                break
    return count


@kernel
def _onward(t, work, node, symbol, end, size, todo, top):
    """Put the items behind a token into `todo`, as far as there is room; how many are in it. FULL."""
    shifted = _shifted(t, work, node, symbol, True)
    if shifted == FULL:
        return shifted
    row = work.row
    for j in range(size):
        row[j] = work.room[j]
    for j in range(size, size + 4):
        row[j] = 0
    scanner = intern(work.heap, row, size + 4)
    if scanner == FULL:
        return scanner
    for j in range(shifted):
        if work.fed[0, j] >= 0 and top < len(todo):
            row[0] = work.fed[0, j]
            row[1] = end
            row[2] = scanner
            new = intern(work.heap, row, np.int64(3))
            if new == FULL:
                return new
            known = False
            for k in range(top):
                known = known or todo[k] == new
            if not known:
                todo[top] = new
                top += 1
    return top


@kernel
def _after(t, work, queue, count, symbol):
    """Replace the stacks in the queue by those behind a terminal."""
    before, more = count, count
    for i in range(before):
        shifted = _shifted(t, work, np.int64(queue[i, 0]), np.int64(symbol), False)
        if shifted == FULL:
            return shifted
        for j in range(shifted):
            if work.fed[0, j] >= 0:
                more = _queue(queue, more, np.int64(work.fed[0, j]), np.int64(0), np.int64(-1), np.int64(-1))
    for i in range(more - before):
        for j in range(5):
            queue[i, j] = queue[before + i, j]
    return more - before


@kernel
def _queue(queue, count, node, cost, parent, item):
    """How many rows there are when this one is among them; where there is no room it is left out."""
    for i in range(count):
        if queue[i, 0] == node:
            if cost < queue[i, 1] and not queue[i, 4]:
                queue[i, 1] = cost
                queue[i, 2] = parent
                queue[i, 3] = item
            return count
    if count == len(queue):
        return count
    queue[count, 0] = node
    queue[count, 1] = cost
    queue[count, 2] = parent
    queue[count, 3] = item
    queue[count, 4] = 0
    return count + 1


@kernel
def _cheapest(t, y_starts, y_items, distance, work, queue, count, found, costs):
    """Dijkstra's algorithm over stacks; the best WAYS of them to the goal go into `found`, cheapest first. FULL."""
    while True:
        best = np.int64(-1)
        for i in range(count):
            if not queue[i, 4] and (best < 0 or queue[i, 1] < queue[best, 1]):
                best = np.int64(i)
        if best < 0 or queue[best, 1] >= costs[WAYS - 1]:
            return np.int64(0)
        queue[best, 4] = 1
        node, paid = np.int64(queue[best, 0]), np.int64(queue[best, 1])
        state = np.int64(work.heap.items[node + 1])
        _note(queue, best, paid + distance[state], state, found, costs)
        for i in range(y_starts[state], y_starts[state + 1]):
            below = node
            for _ in range(y_items[i, 1]):
                if below >= 0:
                    below = np.int64(work.heap.items[below + 2])
            if below < 0 or paid + y_items[i, 2] >= DEAR:
                continue
            target = t.table[work.heap.items[below + 1], y_items[i, 0]]
            if target:
                new = _stack(work, target, below)
                if new == FULL:
                    return new
                count = _queue(queue, count, new, paid + y_items[i, 2], best, np.int64(i))


@kernel
def _note(queue, row, total, state, found, costs):
    """Put a way to the goal where it belongs among the cheapest."""
    if total >= costs[WAYS - 1] or total >= DEAR:
        return
    w = WAYS - 1
    while w and costs[w - 1] > total:
        costs[w] = costs[w - 1]
        for k in range(STEPS):
            found[w, k] = found[w - 1, k]
        w -= 1
    steps, i = np.int64(0), row
    while i >= 0 and queue[i, 3] >= 0:
        steps += 1
        i = np.int64(queue[i, 2])
    if steps >= STEPS:
        costs[w] = DEAR - 1  # too long to be written down
        found[w, 0] = -1 - state
        return
    costs[w] = total
    found[w, steps] = -1 - state
    i = row
    while i >= 0 and queue[i, 3] >= 0:
        steps -= 1
        found[w, steps] = queue[i, 3]
        i = np.int64(queue[i, 2])
