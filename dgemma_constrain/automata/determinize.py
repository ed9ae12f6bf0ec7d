"""NFA → DFA: the subset construction, in a kernel.

Rabin & Scott 1959. A subset is kept as the sorted list of its *important* states (those with edges, and the accepting
one); ε-closures are computed once per edge target. Classes of characters that lead to the same raw targets share one
look-up, which is what makes wide character sets cheap.

*Copies.* A state may be left out of a subset that holds another one from which at least the same texts are accepted: a
subset stands for the union of what its states accept, and so do all that follow from it. In X{m,n}, written as n copies of
X of which those from copy m on may be left out, place p of copy i ≥ m - 1 accepts R·X{0,n-1-i}, where R is what leads from p
to the end of X: the less, the greater i. So of the copies of one place only the first counts, and (a|ab){0,n}, which reaches
a place in up to n ways, has n·|X| subsets and not n²·|X|. (An antichain: De Wulf, Doyen, Henzinger and Raskin, CAV 2006.)
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.kernels import ROOM, grouped, grown, kernel, mix, sort


@kernel
def closures(states, jump_offsets, jump_targets, important, wanted, max_work):
    """ε-closures of the wanted states, important members only, sorted: (offsets, members, status)."""
    offsets = np.zeros(states + 1, np.int64)
    members = np.empty(4 * states + 16, np.int32)
    stamp = np.full(states, -1, np.int32)
    stack = np.empty(states, np.int32)
    used = 0
    work = 0
    for s in range(states):
        if wanted[s]:
            start = used
            stack[0] = s
            stamp[s] = s
            top = 1
            while top:
                top -= 1
                q = stack[top]
                if important[q]:
                    members = grown(members, used + 1)
                    members[used] = q
                    used += 1
                for e in range(jump_offsets[q], jump_offsets[q + 1]):
                    t = jump_targets[e]
                    work += 1
                    if stamp[t] != s:
                        stamp[t] = s
                        stack[top] = t
                        top += 1
            sort(members[start:used])
            if work > max_work:
                return offsets, members, 2
        offsets[s + 1] = used
    return offsets, members, 0


@kernel
def _intern(subset, n, pool, pool_offsets, table):
    """The DFA state of a sorted subset, or -1 and the free slot of the hash table."""
    h = np.uint64(n)
    for i in range(n):  # a sum has no chain of dependencies, so the hashes overlap
        h += mix(subset[i])
    mask = len(table) - 1
    slot = np.int64(mix(h) & np.uint64(mask))
    while table[slot] >= 0:
        d = table[slot]
        a = pool_offsets[d]
        if pool_offsets[d + 1] - a == n:
            same = True
            for i in range(n):
                if pool[a + i] != subset[i]:
                    same = False
                    break
            if same:
                return d, slot
        slot = (slot + 1) & mask
    return -1, slot


@kernel
def _first_of_copies(subset, n, copies, earliest):
    """Leave out states of which an earlier copy is there, too. Returns how many are left.

    copies: states from copies[0] up to copies[1] are copies of copies[2] places; earliest: scratch for each place
    """
    low, high, size = copies[0], copies[1], copies[2]
    for i in range(n):
        q = subset[i]
        if low <= q < high:
            earliest[(q - low) % size] = high
    for i in range(n):
        q = subset[i]
        if low <= q < high:
            earliest[(q - low) % size] = min(earliest[(q - low) % size], q)
    kept = 0
    for i in range(n):
        q = subset[i]
        if not low <= q < high or earliest[(q - low) % size] == q:
            subset[kept] = q
            kept += 1
    return kept


@kernel
def _go_on(edge_offsets, edge_sets, edge_targets, set_offsets, set_classes, closure_offsets, closure, final, copies, earliest,
           pool, pool_offsets, table, single, alone, symbols, targets, offsets, accept,
           count, sums, touched, place, bucket, group_class, group_state, stamp, subset, sizes, max_states, max_work):  # fmt: skip
    """The rows of one DFA state after the other, while there is room for them: a status as in Limits, or ROOM, when the
    same call with longer arrays goes on. `sizes` are how many states and rows are made, interned
    subsets, transitions, stamps, the work, and what `bucket` must hold.

    No array gets longer in here, since a variable for a new array costs reference counting at each use.
    """
    made, d, interned, used, stamps, work = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]
    classes = len(count)
    status = 0
    while d < made and status == 0:
        if (
            used + classes > len(symbols)
            or made + classes + 2 > len(accept)
            or 2 * (interned + classes) > len(table)
            or work > max_work
        ):
            status = 2 if work > max_work else ROOM
            break
        raw = np.int64(0)
        hit = 0
        for i in range(pool_offsets[d], pool_offsets[d + 1]):
            q = pool[i]
            for e in range(edge_offsets[q], edge_offsets[q + 1]):
                h = mix(edge_targets[e])
                for k in range(set_offsets[edge_sets[e]], set_offsets[edge_sets[e] + 1]):
                    c = set_classes[k]
                    if count[c] == 0:
                        touched[hit] = c
                        hit += 1
                    count[c] += 1
                    sums[c] += h
                    raw += 1
        work += raw + 1
        sort(touched[:hit])
        at = 0
        for j in range(hit):
            place[touched[j]] = at
            at += count[touched[j]]
        if raw > len(bucket):
            sizes[6], status = raw, ROOM
        else:
            for i in range(pool_offsets[d], pool_offsets[d + 1]):
                q = pool[i]
                for e in range(edge_offsets[q], edge_offsets[q + 1]):
                    for k in range(set_offsets[edge_sets[e]], set_offsets[edge_sets[e] + 1]):
                        c = set_classes[k]
                        bucket[place[c]] = edge_targets[e]
                        place[c] += 1
        groups = 0
        for j in range(hit):
            if status != 0:
                break
            c = touched[j]
            first = place[c] - count[c]
            target = alone[bucket[first]] if count[c] == 1 else np.int64(-1)
            for g in range(groups if count[c] > 1 else 0):
                b = group_class[g]
                if sums[b] == sums[c] and count[b] == count[c]:
                    same = True
                    for i in range(count[c]):
                        if bucket[first + i] != bucket[place[b] - count[b] + i]:
                            same = False
                            break
                    if same:
                        target = group_state[g]
                        break
            if target < 0:
                stamps += 1
                n = np.int64(0)
                for i in range(first, place[c]):
                    t = bucket[i]
                    for k in range(closure_offsets[t], closure_offsets[t + 1]):
                        q = closure[k]
                        if stamp[q] != stamps:
                            stamp[q] = stamps
                            subset[n] = q
                            n += 1
                    work += closure_offsets[t + 1] - closure_offsets[t]
                if n > 1 and copies[2] > 0:
                    n = _first_of_copies(subset, n, copies, earliest)
                if n == 1:  # most subsets: no hashing
                    target, slot = single[subset[0]], np.int64(-1)
                else:
                    sort(subset[:n])
                    target, slot = _intern(subset, n, pool, pool_offsets, table)
                if target < 0:
                    start = pool_offsets[made]
                    if made == max_states or start + n > len(pool):
                        status = 1 if made == max_states else ROOM
                        break
                    target = made
                    for i in range(n):
                        pool[start + i] = subset[i]
                    pool_offsets[made + 1] = start + n
                    accept[made] = n > 0 and subset[n - 1] == final
                    if n == 1:
                        single[subset[0]] = made
                    else:
                        table[slot] = made
                        interned += 1
                    made += 1
                if count[c] == 1:
                    alone[bucket[first]] = target
                else:
                    group_class[groups] = c
                    group_state[groups] = target
                    groups += 1
            symbols[used + j] = c
            targets[used + j] = target
        for j in range(hit):
            count[touched[j]] = 0
            sums[touched[j]] = 0
        if status == 0:  # otherwise the state is done anew
            used += hit
            d += 1
            offsets[d] = used
    sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5] = made, d, interned, used, stamps, work
    return status


@kernel
def subset_construction(edge_offsets, edge_sets, edge_targets, set_offsets, set_classes, classes,
                        closure_offsets, closure, final, copies, max_states, max_work):  # fmt: skip
    """Returns (offsets, symbols, targets, accept, status): rows of a DFA, state 0 the start; status as in Limits."""
    states = len(edge_offsets) - 1
    n = closure_offsets[1]
    pool = np.empty(n + 1024, np.int32)
    pool_offsets = np.zeros(1025, np.int64)
    table = np.full(4096, -1, np.int64)
    symbols = np.empty(1024, np.int32)
    targets = np.empty(1024, np.int32)
    offsets = np.zeros(1025, np.int64)
    accept = np.zeros(1025, np.bool_)
    # Scratch for one DFA state: raw targets by class, then groups of classes with equal raw targets.
    count = np.zeros(classes, np.int64)
    sums = np.zeros(classes, np.uint64)
    touched = np.empty(classes, np.int32)
    place = np.empty(classes, np.int64)
    bucket = np.empty(1024, np.int32)
    group_class = np.empty(classes, np.int32)
    group_state = np.empty(classes, np.int64)
    stamp = np.full(states, -1, np.int64)
    subset = np.empty(states + 1, np.int32)
    single = np.full(states, -1, np.int64)  # the DFA state of each subset of one
    alone = np.full(states, -1, np.int64)  # and of what one raw target comes to
    earliest = np.empty(copies[2], np.int64)

    for i in range(n):
        pool[i] = closure[i]
    pool_offsets[1] = n
    accept[0] = n > 0 and pool[n - 1] == final
    sizes = np.zeros(7, np.int64)
    sizes[0] = 1
    if n == 1:
        single[pool[0]] = 0
    else:
        _, slot = _intern(pool, n, pool, pool_offsets, table)
        table[slot] = 0
        sizes[2] = 1
    status = ROOM
    while status == ROOM:
        made = sizes[0]
        symbols = grown(symbols, sizes[3] + classes)
        targets = grown(targets, sizes[3] + classes)
        pool_offsets = grown(pool_offsets, made + classes + 2)
        offsets = grown(offsets, made + classes + 2)
        accept = grown(accept, made + classes + 2)
        if pool_offsets[made] + states > len(pool):
            pool = grown(pool, pool_offsets[made] + states)
        if 2 * (sizes[2] + classes) > len(table):
            table = np.full(4 * len(table), -1, np.int64)
            for i in range(made):
                a, b = pool_offsets[i], pool_offsets[i + 1]
                if b - a != 1:
                    _, slot = _intern(pool[a:b], b - a, pool, pool_offsets, table)
                    table[slot] = i
        status = _go_on(
            edge_offsets, edge_sets, edge_targets, set_offsets, set_classes, closure_offsets, closure, final, copies, earliest,
            pool, pool_offsets, table, single, alone, symbols, targets, offsets, accept,
            count, sums, touched, place, bucket, group_class, group_state, stamp, subset, sizes, max_states, max_work,
        )  # fmt: skip
        bucket = grown(bucket, sizes[6])
    made, used = sizes[0], sizes[3]
    return offsets[: made + 1], symbols[:used], targets[:used], accept[:made], status


def determinize(nfa, alphabet_rows, classes: int, limits, copies: tuple[int, int, int] = (0, 0, 0)):
    """The DFA of an NFA over an alphabet of `classes`, as rows (offsets, symbols, targets, accept).

    alphabet_rows: (offsets, classes) of each of `nfa.charsets`, from `alphabet.members`.
    copies: (first state, state after the last, states of each) of copies of which the earlier ones accept more
    """
    set_offsets, set_classes = alphabet_rows
    source, labels, target = np.ascontiguousarray(nfa.edges.T)
    edge_offsets, order = grouped(source, nfa.states)
    jump_offsets, jump_order = grouped(np.ascontiguousarray(nfa.jumps[:, 0]), nfa.states)
    important = np.diff(edge_offsets) > 0
    important[-1] = True
    wanted = np.zeros(nfa.states, bool)
    wanted[0] = True
    wanted[target] = True
    jump_targets = np.ascontiguousarray(nfa.jumps[:, 1])[jump_order]
    closure_offsets, closure, status = closures(nfa.states, jump_offsets, jump_targets, important, wanted, limits.work)
    limits.check(status, "following the empty steps of this constraint")
    *rows, status = subset_construction(
        edge_offsets, labels[order], target[order], set_offsets, set_classes, classes,
        closure_offsets, closure, nfa.states - 1, np.array(copies, np.int64), limits.states, limits.work,
    )  # fmt: skip
    limits.check(status, "making this constraint deterministic")
    return rows
