"""A header before the constrained text: a channel or thinking block of the model's own, which ends with a special id.

The split has to be unmistakable for whoever reads the ids, so a header ends with (and, where it may be missing, begins with) a
special id, which no text holds. Both automata are then deterministic without building anything: one state reads the header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dgemma_constrain.errors import ConstraintError
from dgemma_constrain.tokens.lift import TokenAutomaton

if TYPE_CHECKING:
    from dgemma_constrain.tokens.vocabulary import Vocabulary


def with_header(automaton: TokenAutomaton, vocabulary: Vocabulary, end_id: int, start_id: int | None) -> TokenAutomaton:
    """The automaton of `header text`. A header is any ordinary tokens and `end_id`; with a `start_id` it begins so, or is
    left out. Raises ConstraintError for ids that are not special, or already mean something."""
    taken = {*vocabulary.eos_ids, vocabulary.pad_id, vocabulary.mask_id}
    for name, one in (("end_id", end_id), ("start_id", start_id)):
        if one is None and name == "start_id":
            continue
        if (
            type(one) is not int
            or not 0 <= one < len(vocabulary)
            or vocabulary.token_bytes(one) is not None
            or one in taken
        ):
            raise ConstraintError(
                f"{name} must be a special id that is no end, pad or mask, not {one!r}: see the tokenizer's"
            )
        taken.add(one)
    a, optional = automaton, start_id is not None
    ordinary = np.array(
        [i for i in np.flatnonzero(a.classes < 0).tolist() if vocabulary.token_bytes(i) is not None], np.int32
    )
    more = [part for part in (ordinary, np.array([end_id], np.int32)) if len(part)]
    if optional:
        more.append(np.array([start_id], np.int32))
    classes, count = a.classes.copy(), a.class_count
    for k, part in enumerate(more):
        classes[part] = count + k
    end = count + len(more) - 1 - optional
    header, first = int(optional), int(optional) + 1  # the header's state, and the text's own first

    loops = np.arange(end, dtype=np.int32)  # every class of ordinary tokens stays in the header
    rows = [(np.append(loops, end), np.append(np.full(end, header), first))]
    if optional:
        own = slice(a.offsets[0], a.offsets[1])
        rows.insert(0, (np.append(a.symbols[own], end + 1), np.append(a.targets[own] + first, header)))
    sizes = np.concatenate([[len(symbols) for symbols, _ in rows], np.diff(a.offsets)])
    begin = 1 + a.distance[0]
    return TokenAutomaton(
        classes=classes,
        member_offsets=np.concatenate([a.member_offsets, a.member_offsets[-1] + np.cumsum([len(p) for p in more])]),
        members=np.concatenate([a.members, *more]).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        symbols=np.concatenate([*(symbols for symbols, _ in rows), a.symbols]).astype(np.int32),
        targets=np.concatenate([*(targets for _, targets in rows), a.targets + first]).astype(np.int32),
        accept=np.concatenate([[a.accept[0], False] if optional else [False], a.accept]),
        distance=np.concatenate([[a.distance[0], begin] if optional else [begin], a.distance]).astype(np.int32),
    )
