"""Where terminals may lie in a text of which only pieces are known.

A text is a row of classes of characters with gaps in it. A gap stands for any characters, one at least. A place is
before a symbol of the row; the place before a gap is also every place inside it, and from there the place behind it is
free. A *span* is a terminal from one place to another. Spans are what the lexer may cut, and more: which terminals it
looks for is not known here, so of all terminals that match somewhere only those are left out that would themselves
match on with the next character.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.kernels import distances, grown_rows, kernel, position

GAP = -2


class Automata(NamedTuple):
    """The terminals' automata side by side, terminal t from state starts[t] on.

    near int32[S]: the fewest characters, one at least, from the start of its terminal to each state, -1 if there is no
    way.
    stops bool[C]: before which characters a terminal may end even if it would match on.
    """

    offsets: np.ndarray
    symbols: np.ndarray
    targets: np.ndarray
    accept: np.ndarray
    starts: np.ndarray
    near: np.ndarray
    stops: np.ndarray


def side_by_side(offsets, symbols, targets, accept, starts, stops) -> Automata:
    first = np.zeros(len(accept), bool)
    for s in starts[:-1]:
        first[targets[offsets[s] : offsets[s + 1]]] = True
    near = distances(offsets, targets, first)
    near = np.where(near < 0, near, near + 1).astype(np.int32)
    return Automata(offsets, symbols, targets, accept, starts, near, stops)


def singles(classes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Automata of single characters, of these classes, for `side_by_side`."""
    size = len(classes)
    return (
        (np.arange(2 * size + 1) + 1) // 2, classes.astype(np.int32), 2 * np.arange(size, dtype=np.int32) + 1,
        np.arange(2 * size) % 2 == 1, (2 * np.arange(size + 1)).astype(np.int32),
    )  # fmt: skip


def joined(rows: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    """Several rows of such automata as one."""
    edges = np.cumsum([0, *(len(row[1]) for row in rows)])
    states = np.cumsum([0, *(len(row[3]) for row in rows)])
    offsets, symbols, targets, accept, starts = zip(*rows)
    return (
        np.append(np.concatenate([o[:-1] + e for o, e in zip(offsets, edges)]), edges[-1]).astype(np.int64),
        np.concatenate(symbols), np.concatenate([t + s for t, s in zip(targets, states)]).astype(np.int32),
        np.concatenate(accept),
        np.append(np.concatenate([a[:-1] + s for a, s in zip(starts, states)]), states[-1]).astype(np.int32),
    )  # fmt: skip


@kernel
def _step(automata, state, c):
    """The state after class c, or -1."""
    e = position(automata.symbols, automata.offsets[state], automata.offsets[state + 1], c)
    return np.int64(automata.targets[e]) if e >= 0 else np.int64(-1)


@kernel
def _goes_on(automata, state, text, q):
    """Whether the terminal that ends in this state at place q would match on with the next character."""
    if q == len(text) or text[q] < 0 or automata.stops[text[q]]:
        return False
    onto = _step(automata, state, np.int64(text[q]))
    return onto >= 0 and automata.accept[onto]


@kernel
def _add(spans, n, source, terminal, target, typed, text, reached):
    """One span more, and where it ends in a gap, also to the place behind: how many there are."""
    for q in range(target, target + 1 + (target < len(text) and text[target] == GAP)):
        spans = grown_rows(spans, n + 1)
        spans[n, 0], spans[n, 1], spans[n, 2], spans[n, 3] = source, terminal, q, typed
        reached[q] = True
        n += 1
    return spans, n


@kernel
def find_spans(automata, text, cut):
    """Spans int32[n, 4] (source, terminal, target, characters of it in the gap where it begins, at least), by source;
    and which places can be reached from the first, bool[len(text) + 1]. cut: whether there may be more text than is
    given."""
    accept, starts = automata.accept, automata.starts
    end = np.int64(len(text))
    reached = np.zeros(end + 1, np.bool_)
    reached[0] = True
    spans, n = np.empty((256, 4), np.int32), np.int64(0)
    states, others = np.empty(len(accept), np.int32), np.empty(len(accept), np.int32)
    typed, later = np.empty(len(accept), np.int32), np.empty(len(accept), np.int32)
    seen = np.zeros(len(accept), np.int64)
    stamp = np.int64(0)
    for p in range(end):
        if not reached[p]:
            continue
        if text[p] == GAP:
            reached[p + 1] = True
        for t in range(len(starts) - 1):
            m, q = np.int64(1), np.int64(p)
            states[0], typed[starts[t]] = starts[t], 0
            if text[p] == GAP:
                m, q, least = np.int64(0), q + 1, np.int64(-1)
                for s in range(starts[t], starts[t + 1]):
                    if automata.near[s] > 0:
                        states[m], typed[s] = s, automata.near[s]
                        m += 1
                        if accept[s] and (least < 0 or typed[s] < least):
                            least = np.int64(typed[s])
                if least >= 0:
                    spans, n = _add(spans, n, np.int64(p), np.int64(t), np.int64(p), least, text, reached)
            while m > 0 and q < end:
                stamp += 1
                c, k = np.int64(text[q]), np.int64(0)
                if c == GAP:  # all that can be reached
                    while k < m:
                        seen[states[k]] = stamp
                        k += 1
                    k = np.int64(0)
                    while k < m:
                        s = states[k]
                        for e in range(automata.offsets[s], automata.offsets[s + 1]):
                            onto = automata.targets[e]
                            if seen[onto] != stamp:
                                seen[onto], typed[onto], states[m] = stamp, typed[s], onto
                                m += 1
                        k += 1
                    at = q
                else:
                    for j in range(m):
                        s = states[j]
                        onto = _step(automata, np.int64(s), c)
                        if onto >= 0 and seen[onto] != stamp:
                            seen[onto], later[onto], others[k] = stamp, typed[s], onto
                            k += 1
                        elif onto >= 0:
                            later[onto] = min(later[onto], typed[s])
                    states, others, typed, later, m = others, states, later, typed, k
                    at = q + 1
                q += 1
                least = np.int64(-1)
                for j in range(m):
                    s = states[j]
                    if accept[s] and not _goes_on(automata, np.int64(s), text, at) and (least < 0 or typed[s] < least):
                        least = np.int64(typed[s])
                if least < 0 and at == end and cut and m > 0:
                    least = np.int64(typed[states[0]])
                if least >= 0:
                    spans, n = _add(spans, n, np.int64(p), np.int64(t), at, least, text, reached)
    return spans[:n].copy(), reached
