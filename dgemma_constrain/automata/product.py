"""Two DFAs side by side: intersection, union and difference by one breadth-first product of reachable pairs."""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.kernels import grown, kernel, slot_of

AND, OR, MINUS = 0, 1, 2


@kernel
def product_rows(mode, a_offsets, a_symbols, a_targets, a_accept, b_offsets, b_symbols, b_targets, b_accept,
                 max_states, max_work):  # fmt: skip
    """Rows of the product over a common alphabet; a missing state counts as the dead state -1."""
    width = np.int64(len(b_accept) + 1)
    table, ids = np.full(4096, -1, np.int64), np.empty(4096, np.int64)
    pairs = np.empty(1024, np.int64)
    offsets = np.zeros(1025, np.int64)
    symbols, targets = np.empty(1024, np.int32), np.empty(1024, np.int32)
    accept = np.zeros(1024, np.bool_)
    pairs[0] = width + 1  # (0, 0), each shifted by one so that -1 is 0
    slot = slot_of(table, pairs[0])
    table[slot], ids[slot] = pairs[0], 0
    made = 1
    used = 0
    s = 0
    while s < made:
        p, q = pairs[s] // width - 1, pairs[s] % width - 1
        in_a, in_b = p >= 0 and a_accept[p], q >= 0 and b_accept[q]
        accept[s] = (in_a and in_b) if mode == AND else (in_a or in_b) if mode == OR else (in_a and not in_b)
        i, i_end = (a_offsets[p], a_offsets[p + 1]) if p >= 0 else (0, 0)
        j, j_end = (b_offsets[q], b_offsets[q + 1]) if q >= 0 else (0, 0)
        while i < i_end or j < j_end:
            symbol_a = a_symbols[i] if i < i_end else np.int32(2**31 - 1)
            symbol_b = b_symbols[j] if j < j_end else np.int32(2**31 - 1)
            symbol = min(symbol_a, symbol_b)
            p2, q2 = np.int64(-1), np.int64(-1)
            if symbol_a == symbol:
                p2 = a_targets[i]
                i += 1
            if symbol_b == symbol:
                q2 = b_targets[j]
                j += 1
            if (mode == AND and (p2 < 0 or q2 < 0)) or (mode == MINUS and p2 < 0):
                continue
            key = (p2 + 1) * width + q2 + 1
            slot = slot_of(table, key)
            if table[slot] < 0:
                if made == max_states:
                    return offsets, symbols, targets, accept, 1
                pairs = grown(pairs, made + 1)
                pairs[made] = key
                accept = grown(accept, made + 1)
                offsets = grown(offsets, made + 2)
                table[slot], ids[slot] = key, made
                made += 1
                if 2 * made > len(table):
                    table = np.full(4 * len(table), -1, np.int64)
                    ids = np.empty(len(table), np.int64)
                    for k in range(made):
                        slot = slot_of(table, pairs[k])
                        table[slot], ids[slot] = pairs[k], k
                    slot = slot_of(table, key)
            symbols = grown(symbols, used + 1)
            targets = grown(targets, used + 1)
            symbols[used] = symbol
            targets[used] = ids[slot]
            used += 1
        s += 1
        offsets[s] = used
        if used > max_work:
            return offsets, symbols, targets, accept, 2
    return offsets[: made + 1], symbols[:used], targets[:used], accept[:made], 0


@kernel
def split_symbols(offsets, symbols, targets, piece_offsets, pieces):
    """Rows over a finer alphabet: symbol c becomes the (sorted) symbols pieces[piece_offsets[c]:piece_offsets[c+1]]."""
    new_offsets = np.zeros(len(offsets), np.int64)
    used = np.int64(0)
    for e in range(len(symbols)):
        used += piece_offsets[symbols[e] + 1] - piece_offsets[symbols[e]]
    new_symbols, new_targets = np.empty(used, np.int32), np.empty(used, np.int32)
    used = 0
    for s in range(len(offsets) - 1):
        start = used
        for e in range(offsets[s], offsets[s + 1]):
            for k in range(piece_offsets[symbols[e]], piece_offsets[symbols[e] + 1]):
                # Rows stay sorted by insertion: pieces of neighbouring symbols are nearly in order already.
                i = used
                while i > start and new_symbols[i - 1] > pieces[k]:
                    new_symbols[i] = new_symbols[i - 1]
                    new_targets[i] = new_targets[i - 1]
                    i -= 1
                new_symbols[i] = pieces[k]
                new_targets[i] = targets[e]
                used += 1
        new_offsets[s + 1] = used
    return new_offsets, new_symbols, new_targets
