"""Minimising an automaton without cycles: the finite languages, such as a choice, a bounded repeat, the runs of a text.

Revuz, "Minimisation of acyclic deterministic automata in linear time" (Theoretical Computer Science 92, 1992): from the
ends backwards, two states are equal if they accept alike and their transitions lead to equal states.
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.kernels import kernel, mix


@kernel
def equal_states(offsets, labels, weights, targets, accept):
    """Myhill-Nerode classes of a trimmed DFA: block int32[S], and how many there are; -1 if it has a cycle.

    Depth-first, so that a state is finished after all that it leads to. A hash stands for its row, as in
    `minimize.equivalent_states`, of which `weights` are.
    """
    n = len(accept)
    block = np.full(n, -1, np.int32)
    size = 16
    while size < 2 * n:
        size *= 2
    table = np.full(size, -1, np.int32)  # blocks by hash
    known = np.empty(n, np.uint64)  # the hash of each block
    word = np.empty(n, np.uint64)
    edge = offsets[:-1].copy()  # the next transition to follow from each state
    stack = np.empty(n, np.int32)
    open_ = np.zeros(n, np.bool_)
    stack[0] = 0
    open_[0] = True
    top = 1
    blocks = 0
    while top:
        s = stack[top - 1]
        if edge[s] < offsets[s + 1]:
            t = targets[edge[s]]
            edge[s] += 1
            if block[t] < 0:
                if open_[t]:
                    return block, -1
                stack[top] = t
                open_[t] = True
                top += 1
            continue
        top -= 1
        h = np.uint64(accept[s])
        for e in range(offsets[s], offsets[s + 1]):
            h += weights[labels[e]] * word[targets[e]]
        slot = np.int64(mix(h) & np.uint64(size - 1))
        while table[slot] >= 0 and known[table[slot]] != h:
            slot = (slot + 1) & (size - 1)
        if table[slot] < 0:
            table[slot] = blocks
            known[blocks] = h
            blocks += 1
        block[s] = table[slot]
        word[s] = mix(block[s])
    return block, blocks
