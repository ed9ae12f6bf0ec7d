"""What can be reached by empty steps (ε-closures)."""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.kernels import grown, kernel, sort


@kernel
def shortcuts(jump_offsets, jump_targets, important):
    """Where each state leads by jumps for as long as there is no other way on, int32[S]."""
    states = len(important)
    to = np.full(states, -1, np.int32)
    path = np.empty(states, np.int32)
    for s in range(states):
        n = 0
        t = np.int32(s)
        while to[t] < 0:
            to[t] = t  # also where a circle of jumps ends
            if not important[t] and jump_offsets[t + 1] - jump_offsets[t] == 1:
                path[n] = t
                n += 1
                t = jump_targets[jump_offsets[t]]
        t = to[t]
        for i in range(n):
            to[path[i]] = t
    return to


@kernel
def closures(jump_offsets, jump_targets, important, wanted, max_work):
    """ε-closures of the wanted states, important members only, sorted: (offsets, members, status)."""
    states = len(important)
    offsets = np.zeros(states + 1, np.int64)
    members = np.empty(4 * states + 16, np.int32)
    stamp = np.full(states, -1, np.int32)
    stack = np.empty(states, np.int32)
    found = np.empty(states, np.int32)
    used = 0
    work = 0
    for s in range(states):
        if wanted[s]:
            count = 0
            stack[0] = s
            stamp[s] = s
            top = 1
            while top:
                top -= 1
                q = stack[top]
                if important[q]:
                    found[count] = q
                    count += 1
                for e in range(jump_offsets[q], jump_offsets[q + 1]):
                    t = jump_targets[e]
                    work += 1
                    if stamp[t] != s:
                        stamp[t] = s
                        stack[top] = t
                        top += 1
            if count > 1:
                sort(found[:count])
            members = grown(members, used + count)
            for i in range(count):
                members[used + i] = found[i]
            used += count
            if work > max_work:
                return offsets, members, 2
        offsets[s + 1] = used
    return offsets, members, 0
