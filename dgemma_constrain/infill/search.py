"""The likeliest strings of a canvas, by a beam from left to right whose prefixes are checked as they grow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from dgemma_constrain.tokens.vocabulary import Vocabulary

WIDTH, BRANCHES = 16, 24  # prefixes kept at every position; tokens looked at behind each
AT_ONCE = 48  # prefixes that are checked together: a call costs as much as ten of them


class String(NamedTuple):
    """ids without the end token; `score`, the mean log-probability of a token, the end's included where there is one."""

    score: float
    ids: tuple[int, ...]
    text: bytes
    ended: bool


def strings(
    log_p: np.ndarray,
    vocabulary: Vocabulary,
    pinned: dict[int, tuple[int, float]],
    head: bytes,
    allowed: Callable[[list[bytes]], Sequence[bool]],
    on_time: Callable[[], bool],
) -> list[String]:
    """The likeliest whole strings of a canvas, best first.

    log_p: float[L, V]. pinned: position → id and the log-probability it was committed with. head: what every string begins
    with. allowed: which of some prefixes may be gone on with; asked of the likeliest first. on_time: asked at every position; when it says no, what is whole by then is returned.
    """
    ends = set(vocabulary.eos_ids)
    beam: list[tuple[float, tuple[int, ...], bytes]] = [(0.0, (), b"")]
    whole: list[String] = []
    for position, row in enumerate(log_p):
        if not on_time():
            break
        near = _likeliest(row, BRANCHES)
        grown = []
        for score, ids, text in beam:
            if position in pinned:
                choices = [pinned[position]]
            elif len(text) < len(head):
                choices = _with_head(row, vocabulary, head[len(text) :])
            else:
                choices = near
            grown += [(score + p, ids, text, i) for i, p in choices]
            if len(text) >= len(head) and position not in pinned:
                end, p = max(((e, float(row[e])) for e in ends), key=lambda one: one[1], default=(-1, 0.0))
                if end >= 0 and all(i != end for i, _ in choices):
                    grown.append((score + p, ids, text, end))
        grown.sort(key=lambda one: -one[0])
        for score, ids, text, i in grown:
            if i in ends and len(text) >= len(head):
                whole.append(String(score / (position + 1), ids, text, True))
        beam = _allowed(grown, ends, vocabulary, head, allowed)
    else:
        whole += [String(s / max(len(ids), 1), ids, text, False) for s, ids, text in beam if len(text) >= len(head)]
    return sorted(whole, key=lambda one: -one.score)


def _allowed(grown: list, ends: set[int], vocabulary: Vocabulary, head: bytes, allowed: Callable) -> list:
    """The first of the prefixes, best first, that may be gone on with: as many as the beam is wide."""
    longer: dict[bytes, tuple[float, tuple[int, ...], bytes]] = {}
    for score, ids, text, i in grown:
        added = None if i in ends else vocabulary.token_bytes(i)
        if added and _agree(text + added, head):
            longer.setdefault(text + added, (score, (*ids, i), text + added))
    waiting, beam = list(longer.values()), []
    while waiting and len(beam) < WIDTH:
        near, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
        beam += [one for one, fine in zip(near, allowed([text for *_, text in near])) if fine]
    return beam[:WIDTH]


def _agree(text: bytes, head: bytes) -> bool:
    return text.startswith(head) or head.startswith(text)


def _likeliest(row: np.ndarray, count: int) -> list[tuple[int, float]]:
    ids = np.argpartition(-row, min(count, len(row) - 1))[:count]
    return [(int(i), float(row[i])) for i in ids]


def _with_head(row: np.ndarray, vocabulary: Vocabulary, head: bytes) -> list[tuple[int, float]]:
    """The tokens that go on with what is left of the head, or end in the middle of it."""
    order = vocabulary.order
    ids = []
    for length in range(1, len(head) + 1):
        at = _first(vocabulary, order, head[:length])
        while at < len(order) and vocabulary.token_bytes(int(order[at])) == head[:length]:
            ids.append(int(order[at]))
            at += 1
    start = _first(vocabulary, order, head)
    stop = _first(vocabulary, order, head + b"\xff" * 64)
    longer = order[start:stop]
    ids += [int(i) for i in longer[np.argsort(-row[longer], kind="stable")[:BRANCHES]]]
    return [(i, float(row[i])) for i in dict.fromkeys(ids)]


def _first(vocabulary: Vocabulary, order: np.ndarray, key: bytes) -> int:
    """Where in the sorted tokens the first stands that isn't smaller than `key`."""
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        if (vocabulary.token_bytes(int(order[middle])) or b"") < key:
            low = middle + 1
        else:
            high = middle
    return low
