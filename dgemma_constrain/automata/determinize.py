"""NFA → DFA: the subset construction, in a kernel.

Rabin & Scott 1959. A subset is kept as the sorted list of its *important* states (those with edges, and the accepting
one); ε-closures are computed once per edge target.

Transitions carry *sets* of characters, as those of symbolic automata do (D'Antoni and Veanes, "Minimization of symbolic
automata", POPL 2014): a string's loop over sixty classes is one transition. For a state to be deterministic, the sets of
its transitions must be disjoint. Into which pieces the sets of its edges cut the alphabet depends only on the list of
these sets, of which there are some hundred different ones however many states there are, so that is remembered.
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.closures import closures, shortcuts
from dgemma_constrain.automata.kernels import ROOM, grouped, grown, kernel, mix, sort

LISTS = 1 << 10  # lists of sets that are remembered at a time


@kernel
def _intern(row, n, pool, pool_offsets, table):
    """The row of `pool` that is row[:n], or -1 and the free slot of the hash table."""
    h = np.uint64(n)
    for i in range(n):  # a sum has no chain of dependencies, so the hashes overlap
        h += mix((np.int64(i) << 32) | np.int64(row[i]))
    mask = len(table) - 1
    slot = np.int64(mix(h) & np.uint64(mask))
    while table[slot] >= 0:
        d = table[slot]
        a = pool_offsets[d]
        if pool_offsets[d + 1] - a == n:
            same = True
            for i in range(n):
                if pool[a + i] != row[i]:
                    same = False
                    break
            if same:
                return d, slot
        slot = (slot + 1) & mask
    return -1, slot


@kernel
def _cut(sets, m, set_offsets, set_classes, set_table, piece_sets, piece_offsets, piece_edges, first_piece,
         count, sums, touched, place, bucket, piece_of, size, alone, sizes):  # fmt: skip
    """The pieces into which a list of sets cuts their classes, by first class; how many there are is returned.

    A piece is the classes that lie in the same sets of the list; which these are goes to `piece_edges`. Pieces that are
    none of the sets so far are interned as new ones.
    """
    hit = np.int64(0)
    for i in range(m):
        alone[i] = -1
        h = mix(i)
        for k in range(set_offsets[sets[i]], set_offsets[sets[i] + 1]):
            c = set_classes[k]
            if count[c] == 0:
                touched[hit] = c
                hit += 1
            count[c] += 1
            sums[c] += h
    sort(touched[:hit])
    at = np.int64(0)
    for j in range(hit):
        place[touched[j]] = at
        at += count[touched[j]]
    for i in range(m):
        for k in range(set_offsets[sets[i]], set_offsets[sets[i] + 1]):
            bucket[place[set_classes[k]]] = i
            place[set_classes[k]] += 1
    pieces = np.int64(0)
    for j in range(hit):
        c = touched[j]
        first = place[c] - count[c]
        found = np.int64(-1)
        if count[c] == 1:
            found = np.int64(alone[bucket[first]])
        else:
            for g in range(pieces):
                p = first_piece + g
                begin = piece_offsets[p]
                if piece_offsets[p + 1] - begin == count[c] and sums[touched[size[g, 1]]] == sums[c]:
                    found = g
                    for i in range(count[c]):
                        if piece_edges[begin + i] != bucket[first + i]:
                            found = np.int64(-1)
                            break
                    if found >= 0:
                        break
        if found < 0:
            found = pieces
            begin = piece_offsets[first_piece + found]
            for i in range(count[c]):
                piece_edges[begin + i] = bucket[first + i]
            piece_offsets[first_piece + found + 1] = begin + count[c]
            size[found, 0], size[found, 1] = 0, j
            if count[c] == 1:
                alone[bucket[first]] = found
            pieces += 1
        size[found, 0] += 1
        piece_of[j] = found
    for j in range(hit):
        count[touched[j]] = 0
        sums[touched[j]] = 0
    for g in range(pieces):
        begin = piece_offsets[first_piece + g]
        whole = np.int64(sets[piece_edges[begin]])
        if set_offsets[whole + 1] - set_offsets[whole] != size[g, 0]:
            start = set_offsets[sizes[7]]
            n = np.int64(0)
            for j in range(size[g, 1], hit):
                if piece_of[j] == g:
                    set_classes[start + n] = touched[j]
                    n += 1
            whole, slot = _intern(set_classes[start : start + n], n, set_classes, set_offsets, set_table)
            if whole < 0:
                whole = sizes[7]
                set_table[slot] = whole
                set_offsets[whole + 1] = start + n
                sizes[7] += 1
        piece_sets[first_piece + g] = whole
    return pieces


@kernel
def _go_on(edge_offsets, edge_sets, edge_targets, set_offsets, set_classes, set_table, closure_offsets, closure, final,
           pool, pool_offsets, table, single, alone, labels, targets, offsets, accept,
           lists, list_offsets, list_table, list_pieces, piece_sets, piece_offsets, piece_edges,
           sets, heads, count, sums, touched, place, bucket, piece_of, size, edge_piece, stamp, subset,
           sizes, max_states, max_work):  # fmt: skip
    """The rows of one DFA state after the other, while there is room for them: a status as in Limits, or ROOM, when the
    same call with longer arrays goes on. `sizes` are how many states and rows are made, interned
    subsets, transitions, stamps, the work, what `bucket` must hold, sets, and lists.

    No array gets longer in here, since a variable for a new array costs reference counting at each use.
    """
    made, d, interned, used, stamps, work = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]
    classes = len(count)
    status = 0
    while d < made and status == 0:
        if (
            used + classes > len(labels)
            or made + classes + 2 > len(accept)
            or 2 * (interned + classes) > len(table)
            or sizes[7] + classes >= len(set_offsets)
            or set_offsets[sizes[7]] + classes > len(set_classes)
            or 2 * (sizes[7] + classes) > len(set_table)
            or work > max_work
        ):
            status = 2 if work > max_work else ROOM
            break
        m = np.int64(0)
        for i in range(pool_offsets[d], pool_offsets[d + 1]):
            q = pool[i]
            for e in range(edge_offsets[q], edge_offsets[q + 1]):
                sets[m], heads[m] = edge_sets[e], edge_targets[e]
                m += 1
        work += m + 1
        row, slot = _intern(sets, m, lists, list_offsets, list_table)
        if row < 0:
            raw = np.int64(0)
            for i in range(m):
                raw += set_offsets[sets[i] + 1] - set_offsets[sets[i]]
            work += raw
            if raw > len(bucket):
                sizes[6], status = raw, ROOM
                break
            row = sizes[8]
            if (
                row == LISTS
                or list_offsets[row] + m > len(lists)
                or list_pieces[row] + classes > len(piece_sets)
                or piece_offsets[list_pieces[row]] + raw > len(piece_edges)
            ):  # forget them all
                row = np.int64(0)
                for i in range(len(list_table)):
                    list_table[i] = -1
                _, slot = _intern(sets, m, lists, list_offsets, list_table)
            for i in range(m):
                lists[list_offsets[row] + i] = sets[i]
            list_offsets[row + 1] = list_offsets[row] + m
            list_table[slot] = row
            list_pieces[row + 1] = list_pieces[row] + _cut(
                sets, m, set_offsets, set_classes, set_table, piece_sets, piece_offsets, piece_edges, list_pieces[row],
                count, sums, touched, place, bucket, piece_of, size, edge_piece, sizes,
            )  # fmt: skip
            sizes[8] = row + 1
        begin = used
        for p in range(list_pieces[row], list_pieces[row + 1]):
            several = piece_offsets[p + 1] - piece_offsets[p] > 1
            head = heads[piece_edges[piece_offsets[p]]]
            target = np.int64(-1) if several else alone[head]
            if target < 0:
                stamps += 1
                n = np.int64(0)
                for i in range(piece_offsets[p], piece_offsets[p + 1]):
                    t = heads[piece_edges[i]]
                    for k in range(closure_offsets[t], closure_offsets[t + 1]):
                        q = closure[k]
                        if stamp[q] != stamps:
                            stamp[q] = stamps
                            subset[n] = q
                            n += 1
                    work += closure_offsets[t + 1] - closure_offsets[t]
                if n == 1:  # most subsets: no hashing
                    target, slot = single[subset[0]], np.int64(-1)
                else:
                    if several:
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
                if not several:
                    alone[head] = target
            labels[used] = piece_sets[p]
            targets[used] = target
            used += 1
        if status == 0:
            d += 1
            offsets[d] = used
        else:
            used = begin  # the state is done anew
    sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5] = made, d, interned, used, stamps, work
    return status


@kernel
def _rehashed(size, pool, pool_offsets, rows, least):
    """A hash table of the rows with `least` items or more, but for those with one if that is 0."""
    table = np.full(size, -1, np.int64)
    for i in range(rows):
        a, b = pool_offsets[i], pool_offsets[i + 1]
        if b - a != 1 or least == 1:
            _, slot = _intern(pool[a:b], b - a, pool, pool_offsets, table)
            table[slot] = i
    return table


@kernel
def subset_construction(edge_offsets, edge_sets, edge_targets, set_offsets, set_classes, classes,
                        closure_offsets, closure, final, max_states, max_work):  # fmt: skip
    """Returns (offsets, labels, targets, accept, set_offsets, set_classes, status): rows of a DFA, state 0 the start, their
    transitions by first class; the sets, and those that were cut from them; status as in Limits."""
    states, edges, given = len(edge_offsets) - 1, len(edge_sets), len(set_offsets) - 1
    n = closure_offsets[1]
    pool = np.empty(n + 1024, np.int32)
    pool_offsets = np.zeros(1025, np.int64)
    table = np.full(4096, -1, np.int64)
    labels = np.empty(1024, np.int32)
    targets = np.empty(1024, np.int32)
    offsets = np.zeros(1025, np.int64)
    accept = np.zeros(1025, np.bool_)
    set_table = np.full(16, -1, np.int64)
    # Lists of sets, and the pieces of each.
    lists = np.empty(edges + 8 * LISTS, np.int32)
    list_offsets, list_pieces = np.zeros(LISTS + 1, np.int64), np.zeros(LISTS + 1, np.int64)
    list_table = np.full(2 * LISTS, -1, np.int64)
    piece_sets = np.empty(classes + 8 * LISTS, np.int32)
    piece_offsets = np.zeros(len(piece_sets) + 1, np.int64)
    piece_edges = np.empty(1024, np.int32)
    # Scratch for one DFA state: its edges; where its list is new, by class and by piece.
    sets, heads, edge_piece = np.empty(edges, np.int32), np.empty(edges, np.int32), np.empty(edges, np.int32)
    count = np.zeros(classes, np.int64)
    sums = np.zeros(classes, np.uint64)
    touched = np.empty(classes, np.int32)
    place = np.empty(classes, np.int64)
    bucket = np.empty(256, np.int32)
    piece_of = np.empty(classes, np.int64)
    size = np.empty((classes, 2), np.int64)  # the classes of each piece: how many, and the first
    stamp = np.full(states, -1, np.int64)
    subset = np.empty(states + 1, np.int32)
    single = np.full(states, -1, np.int64)  # the DFA state of each subset of one
    alone = np.full(states, -1, np.int64)  # and of what one raw target comes to

    for i in range(n):
        pool[i] = closure[i]
    pool_offsets[1] = n
    accept[0] = n > 0 and pool[n - 1] == final
    sizes = np.zeros(9, np.int64)
    sizes[0], sizes[7] = 1, given
    if n == 1:
        single[pool[0]] = 0
    else:
        _, slot = _intern(pool, n, pool, pool_offsets, table)
        table[slot] = 0
        sizes[2] = 1
    status = ROOM
    while status == ROOM:
        made = sizes[0]
        labels = grown(labels, sizes[3] + classes)
        targets = grown(targets, sizes[3] + classes)
        pool_offsets = grown(pool_offsets, made + classes + 2)
        offsets = grown(offsets, made + classes + 2)
        accept = grown(accept, made + classes + 2)
        if pool_offsets[made] + states > len(pool):
            pool = grown(pool, pool_offsets[made] + states)
        if 2 * (sizes[2] + classes) > len(table):
            table = _rehashed(4 * len(table), pool, pool_offsets, made, 0)
        set_offsets = grown(set_offsets, sizes[7] + classes + 1)
        set_classes = grown(set_classes, set_offsets[sizes[7]] + classes)
        more = len(set_table)
        while 2 * (sizes[7] + classes) > more:
            more *= 4
        if more > len(set_table):
            set_table = _rehashed(more, set_classes, set_offsets, sizes[7], 1)
        bucket = grown(bucket, sizes[6])
        piece_edges = grown(piece_edges, 4 * len(bucket))
        status = _go_on(
            edge_offsets, edge_sets, edge_targets, set_offsets, set_classes, set_table, closure_offsets, closure, final,
            pool, pool_offsets, table, single, alone, labels, targets, offsets, accept,
            lists, list_offsets, list_table, list_pieces, piece_sets, piece_offsets, piece_edges,
            sets, heads, count, sums, touched, place, bucket, piece_of, size, edge_piece, stamp, subset,
            sizes, max_states, max_work,
        )  # fmt: skip
    made, used, set_offsets = sizes[0], sizes[3], set_offsets[: sizes[7] + 1]
    set_classes = set_classes[: set_offsets[-1]]
    return offsets[: made + 1], labels[:used], targets[:used], accept[:made], set_offsets, set_classes, status


def determinize(nfa, alphabet_rows, classes: int, limits):
    """The DFA of an NFA over an alphabet of `classes`, as rows (offsets, labels, targets, accept) and the sets that the
    labels stand for, as rows (offsets, classes). Those of one state are disjoint, and stand by their first classes.

    alphabet_rows: (offsets, classes) of each of `nfa.charsets`, from `alphabet.members`; these stay the first labels.
    """
    set_offsets, set_classes = alphabet_rows
    source, labels, target = np.ascontiguousarray(nfa.edges.T)
    edge_offsets, order = grouped(source, nfa.states)
    jump_offsets, jump_order = grouped(np.ascontiguousarray(nfa.jumps[:, 0]), nfa.states)
    jump_targets = np.ascontiguousarray(nfa.jumps[:, 1])[jump_order]
    important = np.diff(edge_offsets) > 0
    important[-1] = True
    target = shortcuts(jump_offsets, jump_targets, important)[target[order]]
    wanted = np.zeros(nfa.states, bool)
    wanted[0] = True
    wanted[target] = True
    closure_offsets, closure, status = closures(jump_offsets, jump_targets, important, wanted, limits.work)
    limits.check(status, "following the empty steps of this constraint")
    *rows, status = subset_construction(
        edge_offsets, labels[order], target, set_offsets, set_classes, classes,
        closure_offsets, closure, nfa.states - 1, limits.states, limits.work,
    )  # fmt: skip
    limits.check(status, "making this constraint deterministic")
    return rows
