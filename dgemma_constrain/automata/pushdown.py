"""Pushdown systems over characters: finite automata that call each other. `constraints/grammar/network.py` makes them."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from dgemma_constrain.automata.alphabet import Alphabet

PLACE, PUSH, POP, TEXT = range(4)  # kinds of nodes


class Network(NamedTuple):
    """A pushdown system over the classes of an alphabet. Nodes and frames are numbers; node 0 is the start, a place.

    kind   int8[N]   of each node: PLACE reads a character; PUSH a frame, and goes on; POP a frame, and goes on as `pops`
                     says; TEXT: this is a text, if nothing is on the stack
    steps  of each place: the nodes that it may lead to, by class; by `end`, the number after the last class, at the end
    push   of each PUSH: its frame and the node after it
    pops   of each POP: the nodes that it may lead to, by frame
    unambiguous  whether no text has two runs
    """

    alphabet: Alphabet
    kind: np.ndarray
    steps: list[dict[int, tuple[int, ...]]]
    push: dict[int, tuple[int, int]]
    pops: dict[int, dict[int, tuple[int, ...]]]
    frames: int
    unambiguous: bool


def merged(found: Network) -> Network:
    """The same with nodes and frames as one that no context tells apart: the coarsest bisimulation, by refinement.

    Places of the same use in different follows are one then, where it never matters what follows.
    """
    block, frame_block = found.kind.tolist(), [0] * found.frames
    uses: list[list[tuple[int, tuple[int, ...]]]] = [[] for _ in range(found.frames)]
    for node, by_frame in found.pops.items():
        for frame, nodes in by_frame.items():
            uses[frame].append((node, nodes))
    count = 0
    while count < len(set(block)) + len(set(frame_block)):
        count = len(set(block)) + len(set(frame_block))

        def of(nodes: tuple[int, ...]) -> frozenset[int] | int:
            return block[nodes[0]] if len(nodes) == 1 else frozenset(block[n] for n in nodes)

        signatures: list = []
        for node, kind in enumerate(found.kind.tolist()):
            if kind == PLACE:
                signatures.append((block[node], *((c, of(to)) for c, to in sorted(found.steps[node].items()))))
            elif kind == PUSH:
                frame, to = found.push[node]
                signatures.append((block[node], frame_block[frame], block[to]))
            else:
                by_frame = found.pops.get(node, {})
                signatures.append((block[node], frozenset((frame_block[w], of(to)) for w, to in by_frame.items())))
        frame_signatures = [
            (frame_block[w], frozenset((block[x], of(to)) for x, to in uses[w])) for w in range(found.frames)
        ]
        numbers: dict = {}
        block = [numbers.setdefault(s, len(numbers)) for s in signatures]
        frame_numbers: dict = {}
        frame_block = [frame_numbers.setdefault(s, len(frame_numbers)) for s in frame_signatures]

    def renamed(nodes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted({block[n] for n in nodes}))

    size = max(block) + 1
    kind = np.empty(size, np.int8)
    kind[block] = found.kind
    steps: list[dict[int, tuple[int, ...]]] = [{} for _ in range(size)]
    for node, row in enumerate(found.steps):
        steps[block[node]] = {c: renamed(to) for c, to in row.items()}
    push = {block[n]: (frame_block[w], block[to]) for n, (w, to) in found.push.items()}
    pops: dict[int, dict[int, tuple[int, ...]]] = defaultdict(dict)
    for node, by_frame in found.pops.items():
        for frame, to in by_frame.items():
            pops[block[node]][frame_block[frame]] = renamed(to)
    frames = max(frame_block, default=-1) + 1
    return Network(found.alphabet, kind, steps, push, dict(pops), frames, found.unambiguous)
