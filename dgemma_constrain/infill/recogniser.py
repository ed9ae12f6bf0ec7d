"""Whether the text left of a cursor, and a candidate behind it, can still become a whole file: a GLR recogniser in a kernel.

All parses that a wheel's tables allow go on side by side (Tomita 1985). A parse is an item: a stack of LR states, a place in
the text, and what the external scanner kept. Stacks are linked lists, hash-consed, so that parses that have become equal are
one (see `stacks`), and an item is three numbers. What an item leads to depends on itself and on the text right of it alone, so:

- The text left of the cursor is read once. Items whose next token doesn't end before the cursor for certain are kept, and
  every candidate begins with them.
- What an item left of the end led to holds for the next candidate, too, if the lexer saw the same characters: of candidates
  that begin alike only the last token is read anew. Where a parse was down to one item, the next one begins with it.
- Items right of the hole that were found to reach the end of the file, or not to, are remembered for the next candidate.
  It stops where its parse meets one that is known, mostly within a line or two. What token stands in a place there is
  remembered, too: it depends on the place, on what the lexer is asked for, and on the scanner's state alone.
- An LR automaton has the viable-prefix property: what was shifted is a prefix of a whole text. So a text is dead exactly
  when no item is left, apart from a last token that more text may still change. That token is judged by what the wheel's own
  lexer makes of it when characters are added, and where that is unknown, in favour of the text.

"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.interning import FULL, UNKNOWN, intern, recall
from dgemma_constrain.automata.kernels import bare
from dgemma_constrain.infill.lexer import (
    ASKED,
    BEHIND,
    FAR,
    GAP,
    SCANNED,
    START,
    TOUCHED,
    WORD,
    grown,
    is_keyword,
    lexed,
)  # fmt: skip
from dgemma_constrain.infill.stacks import LIMIT, LONGEST, _moved, _shifted, _stack, new_item
from dgemma_constrain.infill.tables import REDUCE

COLLECT, ALIVE, WHOLE = 0, 1, 2
DEAD, ACCEPTED = -1, -2  # marks of items; a positive one is the number of the run that saw it
NEVER = 1 << 30
MOST = 1 << 21  # items of a run
_PROBES = np.array([ord(c) for c in "aexob_uLRrnfi019 \n\t!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~é中"], np.int32)


@bare
def _blank(text, at):
    while at < len(text) and (text[at] == 32 or 9 <= text[at] <= 13):
        at += 1
    return at >= len(text)


@bare
def _grows(t, words, block, work, text, start, node, symbol, keyword):
    """1 if the text's last, open token, which can't stand here, may become one that can; 0 if not. FULL, LIMIT."""
    length, state = len(text) - start, work.heap.items[node + 1]
    if length > LONGEST:
        return np.int64(1)
    row = work.row
    row[0] = -2 - node
    for i in range(length):
        row[1 + i] = text[start + i]
    n = 1 + length
    while n < 4:
        row[n] = -1
        n += 1
    known = intern(work.heap, row, n)
    if known == FULL:
        return known
    if work.mark[known]:
        return np.int64(work.mark[known] == ACCEPTED)
    found = np.int64(0)
    for w in range(len(words)):
        y = words[w, 0]
        if found == 0 and t.table[state, y] and words[w, 1 + length] > 0:
            i = 0
            while i < length and words[w, 1 + i] == text[start + i]:
                i += 1
            if i == length:
                found = _shifted(t, work, node, np.int64(y), False)
    if found == 0 and keyword:
        found = _shifted(t, work, node, np.int64(t.capture), False)  # `in` of `index`
    elif found == 0 and (t.capture == 0 or symbol != t.capture):
        found = _probed(t, block, work, text, start, node, symbol)
    if found < 0:
        return found
    work.mark[known] = ACCEPTED if found else DEAD
    return np.int64(found > 0)


@bare
def _probed(t, block, work, text, start, node, now):
    """Whether one or two more characters make another token that can stand here: a number, of no fixed spelling."""
    length, probe = len(text) - start, work.probe
    mode = t.modes[work.heap.items[node + 1], 0]
    for i in range(length):
        probe[i] = text[start + i]
    last = np.int64(-1)
    probe[length] = 42
    probe[length + 1] = 47
    symbol, end = grown(t, block, probe[: length + 2], mode)  # a comment is closed, which is what is mostly asked
    if symbol >= 0 and end > length:
        last = symbol
        found = _shifted(t, work, node, symbol, False)
        if found:
            return found
    for one in _PROBES:
        probe[length] = one
        symbol, end = grown(t, block, probe[: length + 1], mode)
        if not block[TOUCHED]:
            continue  # the character isn't the token's
        if symbol < 0:
            return np.int64(1)
        if end > length and symbol != last:
            last = symbol
            found = _shifted(t, work, node, symbol, False)
            if found:
                return found
        if end > length and symbol == now:
            continue  # it goes on as it would have without
        for two in _PROBES:
            probe[length + 1] = two
            symbol, end = grown(t, block, probe[: length + 2], mode)
            if symbol >= 0 and end > length and symbol != last:
                last = symbol
                found = _shifted(t, work, node, symbol, False)
                if found:
                    return found
    return np.int64(0)


@bare
def _add(order, parents, mark, item, at, parent, count, memo, stamp):
    """The number of items when this one is among them. FULL."""
    if item == FULL or count == len(order):
        return np.int64(FULL)
    if mark[item] == stamp or at >= memo and mark[item] == DEAD:
        return count
    if at < memo or mark[item] != ACCEPTED:
        mark[item] = stamp
    order[count] = item
    parents[count] = parent
    return count + 1


@bare
def _scanner(work, before, size, n):
    """The scanner's state in work.room[:n], as a row, given that of before the token, of which work.saved[:size] is a copy. FULL."""
    same = n == size
    for j in range(min(n, size)):
        same = same and work.room[j] == work.saved[j]
    if same:
        return before
    for j in range(n):
        work.row[j] = work.room[j]
    for j in range(n, n + 4):
        work.row[j] = 0
    return intern(work.heap, work.row, n + 4)


@bare
def _keep(known, kept, item, reach, count, stamp):
    """Note that an item led to those that stand behind what there is in `kept`; `reach`: behind the last character looked at."""
    k = np.int64(kept[0])
    kept[k] = stamp
    kept[k + 1] = reach
    kept[k + 2] = count
    kept[0] = k + 3 + count
    known[item] = k


@bare
def run(t, words, block, text, work, starts, goal, memo, stamp, changed):
    """One text. COLLECT: how many items its end leaves open. ALIVE: 1 if it can be continued. WHOLE: 1 if it is whole. FULL, LIMIT.

    text int32[N]; starts int32[K]: items; memo: the place from which on items are remembered; stamp: a number for the run.
    WHOLE: of the text block[GAP]:block[BEHIND] isn't there, and what stands behind it is the same in every run. Unless COLLECT:
    changed int32[N]: the last run since which the text is the same up to there, as far as the gap; work.trail is gone on with.
    """
    heap, mark, todo, order, parents = work.heap, work.mark, work.todo, work.order, work.parent
    known, kept, trail, row = work.known, work.kept, work.trail, work.row
    items = heap.items
    count, top, opened = np.int64(0), np.int64(0), np.int64(0)
    stop, behind, reach = np.int64(len(text)), np.int64(NEVER), np.int64(-1)
    if goal == WHOLE:
        stop, behind = np.int64(block[GAP]), np.int64(block[BEHIND])
    else:
        block[GAP] = block[BEHIND] = -1
    if goal != COLLECT:
        reach = np.int64(trail[1])
    for i in range(len(starts)):
        item = np.int64(starts[i])
        more = _add(order, parents, mark, item, np.int64(items[item + 2]), np.int64(-1), count, memo, stamp)
        if more == FULL:
            return more
        if more > count:
            todo[top] = count
            top += 1
        count = more
    while top:
        top -= 1
        i = np.int64(todo[top])
        item = np.int64(order[i])
        node, at, scanner = np.int64(items[item + 1]), np.int64(items[item + 2]), np.int64(items[item + 3])
        state = items[node + 1]
        if top == 0 and 0 <= reach and at < stop and 2 * trail[0] + 4 <= len(trail):
            trail[2 * trail[0] + 2] = item
            trail[2 * trail[0] + 3] = reach
            trail[0] += 1
        if at >= memo and mark[item] == ACCEPTED:
            _accept(work, i, memo)
            return np.int64(1)
        if goal == ALIVE and _blank(text, at):
            return np.int64(1)
        before, k = count, np.int64(known[item])
        if k and (at >= behind or goal != COLLECT and kept[k + 1] <= stop and changed[kept[k + 1] - 1] <= kept[k]):
            reach = max(reach, np.int64(kept[k + 1])) if reach >= 0 else reach
            for j in range(k + 3, k + 3 + kept[k + 2]):
                child = np.int64(kept[j])
                count = _add(order, parents, mark, child, np.int64(items[child + 2]), i, count, memo, stamp)
                if count == FULL:
                    return count
        elif t.modes[state, 0] == 0xFFFF:  # the end of an extra that is no token: it is reduced, whatever follows
            rule = t.table[state, 0]
            for a in range(t.starts[rule], t.starts[rule + 1]):
                if t.actions[a, 0] == REDUCE:
                    below = node
                    for _ in range(t.actions[a, 2]):
                        if below >= 0:
                            below = np.int64(items[below + 2])
                    if below >= 0:
                        target = t.table[items[below + 1], t.actions[a, 1]]
                        new = below if target == items[below + 1] else _stack(work, target, below)
                        if new == FULL:
                            return new
                        if target:
                            child = new_item(work, new, at, scanner)
                            count = _add(order, parents, mark, child, at, i, count, memo, stamp)
                            if count == FULL:
                                return count
        else:
            cell = np.int64(-1)
            if at >= behind:  # there a token depends on where it stands alone, and what the lexer is asked for
                row[0] = -2 - (t.modes[state, 0] | t.modes[state, 1] << 16)
                row[1] = at
                row[2] = scanner
                cell = intern(heap, row, np.int64(3))
                if cell == FULL:
                    return cell
            if cell >= 0 and known[cell]:
                k = np.int64(known[cell])
                symbol, word = np.int64(kept[k]), np.int64(kept[k + 1])
                end, after = np.int64(kept[k + 2]), np.int64(kept[k + 3])
                touched = scanned = asked = start = far = np.int64(0)
            else:
                size = np.int64(items[scanner] - 4)
                for j in range(size):
                    work.saved[j] = items[scanner + 1 + j]
                mode, outer = np.int64(t.modes[state, 0]), np.int64(t.modes[state, 1])
                symbol, end, n = lexed(t, block, text, mode, outer, at, work.saved, size, work.room)
                touched, scanned, asked, start = block[TOUCHED], block[SCANNED], block[ASKED], block[START]
                word, far = block[WORD], block[FAR]
                after = scanner if symbol < 0 else _scanner(work, scanner, size, n)
                if after == FULL:
                    return after
                if cell >= 0 and not asked:
                    k = np.int64(kept[0])
                    if k + 4 > len(kept):
                        return np.int64(FULL)
                    kept[k] = symbol
                    kept[k + 1] = word
                    kept[k + 2] = end
                    kept[k + 3] = after
                    kept[0] = k + 4
                    known[cell] = k
            keyword = np.int64(word > 0 and is_keyword(t, state, word))
            if keyword:
                symbol = np.int64(word)
            if goal == COLLECT and touched:
                if opened == len(work.opened):
                    return np.int64(LIMIT)
                work.opened[opened] = item
                opened += 1
                continue
            if goal == ALIVE and (
                scanned == 1 or symbol < 0 and touched or scanned == 2 and t.table[state, symbol] == 0
            ):
                return np.int64(1)
            found = np.int64(0)
            if symbol >= 0:
                found = recall(heap.keys, heap.values, node, 2 * symbol + keyword)
                if found == UNKNOWN:
                    found = _moved(t, work, node, symbol, keyword)
                if found < 0:
                    return found
            shifted = np.int64(kept[found]) if symbol >= 0 else np.int64(0)
            if goal == ALIVE and touched and (shifted == 0 or end < len(text)):
                if scanned:
                    return np.int64(1)
                grows = _grows(t, words, block, work, text, start, node, symbol, keyword)
                if grows:
                    return grows
            noted = np.int64(kept[0])
            if noted + 3 + shifted > len(kept):
                return np.int64(FULL)
            for j in range(shifted):
                new = np.int64(kept[found + 1 + j])
                if new < 0:
                    _accept(work, i, memo)
                    return np.int64(1)
                child = new_item(work, new, end, after)
                count = _add(order, parents, mark, child, end, i, count, memo, stamp)
                if count == FULL:
                    return count
                kept[noted + 3 + j] = child
            if goal != COLLECT and not asked and (at >= behind or far < stop):
                _keep(known, kept, item, far + 1, shifted, stamp)
                reach = max(reach, np.int64(far + 1)) if reach >= 0 else reach
            else:
                reach = np.int64(-1)
        for j in range(before, count):
            todo[top] = j
            top += 1
        if count > min(64 * len(text) + 4096, MOST):
            return np.int64(LIMIT)
    if goal == COLLECT:
        return opened
    for j in range(count):
        if items[work.order[j] + 2] >= memo:
            mark[work.order[j]] = DEAD
    return np.int64(0)


@bare
def _accept(work, i, memo):
    """Remember that the items on the way here reach the end."""
    while i >= 0:
        if work.heap.items[work.order[i] + 2] >= memo:
            work.mark[work.order[i]] = ACCEPTED
        i = np.int64(work.parent[i])
