"""Classes of tokens, which lead to the same place from every state, by the sums of hashes of a walk; see `lift`.

Most tokens are told apart by their forms alone (see keys.py), of which there are a few thousand. The others, which walks by
the tokens themselves touch, come in runs with the same sum. So classes cost little for each token.
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.kernels import kernel
from dgemma_constrain.tokens.walk import add

APART = np.uint64(0xD1B54A32D192ED03)  # sets tokens with leaving bytes apart from all others (see copies.py)
TOUCHED = np.uint8(2)


@kernel
def token_hashes(sums, marks, of_form, form, count, copied, left, order, half):
    """Hashes of the columns of all forms, 0 for one of which all tokens are touched, then of the touched tokens; these,
    int32[t]; and how many others there are of each form, as in `count`.

    `sums` and `marks` are as `discover` leaves them, for tokens, STAYING and NEARING keys, those of `copied` and `left` and
    ENTERING keys; touched tokens get a mark.
    """
    column, stay, near, copies, leaving, enter = sums
    plain_marks = marks[0]
    for w in range(1, len(sums)):
        total = np.uint64(0)
        some, mark = sums[w], marks[w]
        for i in range(len(some)):
            if mark[i] != 0:
                total += some[i]
            some[i] = total
    for i in range(len(copied)):
        near[copied[i]] += copies[i]
    for i in range(len(left)):
        add(column, plain_marks, left[i], leaving[i] + APART)
        add(column, plain_marks, left[i] + 1, np.uint64(0) - leaving[i] - APART)
    forms, tokens = count.shape[1], len(form)
    hashes, touched = np.empty(forms + tokens, np.uint64), np.empty(tokens, np.int32)
    for f in range(forms):
        hashes[f] = stay[of_form[0, f]] + enter[of_form[1, f]] + near[of_form[2, f]]
    rest = count.copy()
    eight = plain_marks.view(np.uint64)
    n = i = 0
    plain = np.uint64(0)
    while i < tokens:
        if plain_marks[i] != 0:
            plain += column[i]
        if plain == np.uint64(0):
            i += 1
            while i < tokens and plain_marks[i] == 0:
                i += 8 if i & 7 == 0 and eight[i >> 3] == np.uint64(0) else 1
            continue
        f = form[i]
        hashes[forms + n] = hashes[f] + plain
        touched[n] = i
        rest[np.int64(order[i] >= half), f] -= 1
        plain_marks[i] |= TOUCHED
        n += 1
        i += 1
    for f in range(forms):
        if rest[0, f] == 0 and rest[1, f] == 0:
            hashes[f] = np.uint64(0)
    return hashes[: forms + n], touched[:n], rest


@kernel
def shortest(class_of, classes, touched, mark, lengths, first, following, order, offsets):
    """The position in the sorted tokens of a short one of each class, int32[classes]."""
    example, length = np.empty(classes, np.int32), np.full(classes, 1 << 30, np.int64)
    for f in range(len(first)):
        c = class_of[f]
        if c >= 0 and lengths[f] < length[c]:
            at = first[f]
            while mark[at] & TOUCHED:
                at = following[at]
            example[c], length[c] = at, lengths[f]
    last = np.int32(-1)
    for j in range(len(touched)):
        c = class_of[len(first) + j]
        if c != last:
            last = c
            at = touched[j]
            size = offsets[order[at] + 1] - offsets[order[at]]
            if size < length[c]:
                example[c], length[c] = at, size
    return example


@kernel
def classes_of(class_of, number, classes, touched, rest, by_id, order):
    """The class of each id, int32[V], from those of forms and touched tokens, which `number` renames, where `rest` is as
    `token_hashes` returns it; and as `members_of`."""
    forms, half = rest.shape[1], len(by_id) // 2
    of, sizes = np.empty(forms + 1, np.int32), np.zeros((2, classes + 1), np.int64)
    for f in range(forms):
        of[f] = number[class_of[f]] if class_of[f] >= 0 else -1
        sizes[0, of[f]] += rest[0, f]  # -1, the last: those that no text holds
        sizes[1, of[f]] += rest[1, f]
    of[forms] = -1
    found = np.empty(len(by_id), np.int32)
    for i in range(len(by_id)):
        found[i] = of[by_id[i]]
    for j in range(len(touched)):
        c, i = number[class_of[forms + j]], order[touched[j]]
        found[i] = c
        sizes[np.int64(i >= half), c] += 1
    offsets, members = _listed(found, sizes)
    return found, offsets, members


@kernel
def members_of(classes, count):
    """The ids of each class in rows (offsets int64[count+1], members int32[n]), ascending."""
    half, sizes = len(classes) // 2, np.zeros((2, count + 1), np.int64)
    for i in range(len(classes)):
        sizes[np.int64(i >= half), classes[i]] += 1
    return _listed(classes, sizes)


@kernel
def _listed(classes, sizes):
    """As `members_of`, where the size of each class is known, in the first and the second half of the ids: listing both at
    once takes less time than one after the other, since each id must wait for the last of its class."""
    half, count = len(classes) // 2, sizes.shape[1] - 1
    offsets, place, middle = np.zeros(count + 1, np.int64), np.empty(count, np.int64), np.empty(count, np.int64)
    for c in range(count):
        place[c], middle[c] = offsets[c], offsets[c] + sizes[0, c]
        offsets[c + 1] = middle[c] + sizes[1, c]
    members = np.empty(offsets[count], np.int32)
    for t in range(half, len(classes)):
        c, d = classes[t - half], classes[t]
        if c >= 0 and t < 2 * half:
            members[place[c]] = t - half
            place[c] += 1
        if d >= 0:
            members[middle[d]] = t
            middle[d] += 1
    return offsets, members
