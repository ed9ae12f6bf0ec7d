"""Minimising an automaton without cycles: the finite languages, such as a choice, a bounded repeat, the runs of a text.

Revuz, "Minimisation of acyclic deterministic automata in linear time" (Theoretical Computer Science 92, 1992): from the
ends backwards, two states are equal if they accept alike and their transitions lead to equal states.
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.kernels import kernel, mix


@kernel
def equal_states(offsets, symbols, targets, accept):
    """Myhill-Nerode classes of a trimmed DFA: block int32[S], and how many there are; -1 if it has a cycle.

    Depth-first, so that a state is finished after all that it leads to; finished states are found by hash of their row.
    """
    n = len(accept)
    block = np.full(n, -1, np.int32)
    size = 16
    while size < 2 * n:
        size *= 2
    table = np.full(size, -1, np.int32)  # one finished state of each block
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
        slot = _find(table, offsets, symbols, targets, accept, block, s)
        if table[slot] < 0:
            table[slot] = s
            block[s] = blocks
            blocks += 1
        else:
            block[s] = block[table[slot]]
    return block, blocks


@kernel
def _find(table, offsets, symbols, targets, accept, block, s):
    """Where a state like `s` is in the table, or belongs."""
    size = offsets[s + 1] - offsets[s]
    h = np.uint64(accept[s])
    for e in range(offsets[s], offsets[s + 1]):
        h = mix(h ^ np.uint64((np.int64(symbols[e]) << 32) | np.int64(block[targets[e]])))
    slot = np.int64(h & np.uint64(len(table) - 1))
    while table[slot] >= 0:
        r = table[slot]
        same = accept[r] == accept[s] and offsets[r + 1] - offsets[r] == size
        for i in range(size):
            if not same:
                break
            a, b = offsets[r] + i, offsets[s] + i
            same = symbols[a] == symbols[b] and block[targets[a]] == block[targets[b]]
        if same:
            break
        slot = (slot + 1) & (len(table) - 1)
    return slot
