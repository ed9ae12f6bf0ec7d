"""Rewriting spans of a text: the rest stays, byte for byte.

The constraint says so: kept pieces are literals in it, and any text may stand between them. That alone is enough for a
model that redraws its whole canvas; one that fills masks should see what is kept, so there the kept pieces are pinned,
for which the number of tokens of each span has to be chosen (`layouts`).
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Iterator, Sequence

from dgemma_constrain.constraints.base import Constraint
from dgemma_constrain.constraints.terms import literal
from dgemma_constrain.constraints.terms import text as any_text
from dgemma_constrain.diffusion.lengths import LENGTHS
from dgemma_constrain.errors import ConstraintError, VocabularyError
from dgemma_constrain.tokens.vocabulary import Vocabulary


def cut(text: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """The pieces before, between and after the spans, one more than there are spans. Raises ConstraintError."""
    if not isinstance(text, str):
        raise ConstraintError(f"revise needs a text, not {type(text).__name__}")
    pieces, end = [], 0
    for span in spans:
        good = isinstance(span, (tuple, list)) and len(span) == 2 and all(type(i) is int for i in span)
        if not good or not 0 <= span[0] <= span[1] <= len(text):
            raise ConstraintError(f"span {span!r} is no (start, end) within the text's {len(text)} characters")
        if span[0] < end or (pieces and span[0] == end):
            raise ConstraintError(
                f"span {tuple(span)} begins before the one ahead of it ends; give them in order, apart"
            )
        pieces.append(text[end : span[0]])
        end = span[1]
    if not pieces:
        raise ConstraintError("no span to revise was given")
    return [*pieces, text[end:]]


def around(pieces: list[str]) -> Constraint:
    """Texts that have these pieces in order, from the beginning to the end."""
    parts = [literal(pieces[0])]
    for piece in pieces[1:]:
        parts += [any_text(), literal(piece)]
    return reduce(add, parts)


def find_spans(text: str, pieces: list[str]) -> tuple[tuple[int, int], ...]:
    """What stands between the pieces in a text of `around(pieces)`, each span as short as can be."""
    spans, at = [], len(pieces[0])
    for piece in pieces[1:-1]:
        end = text.index(piece, at)
        spans.append((at, end))
        at = end + len(piece)
    return (*spans, (at, len(text) - len(pieces[-1])))


def layouts(
    vocabulary: Vocabulary, text: str, spans: Sequence[tuple[int, int]], length: int | str, room: int
) -> Iterator[tuple[int, dict[int, int]]]:
    """(tokens in all, kept ids by position) for each number of tokens that the spans may have; none where the vocabulary
    can't spell a kept piece by itself. With "auto" these are `LENGTHS`, and about what the spans had."""
    pieces = [_spelled(vocabulary, piece, first=k == 0) for k, piece in enumerate(cut(text, spans))]
    if None in pieces:
        return
    old = [max(1, len(_spelled(vocabulary, text[a:b], first=True) or text[a:b])) for a, b in spans]
    sizes = [[length] * len(spans)] if length != "auto" else [
        *([max(1, n + n * k // 4) for n in old] for k in (0, -2, -1, 1, 2, 4)), *([n] * len(spans) for n in LENGTHS)
    ]  # fmt: skip
    seen = set()
    for size in sizes:
        pinned, at = dict(enumerate(pieces[0])), len(pieces[0])
        for n, piece in zip(size, pieces[1:]):
            pinned |= enumerate(piece, at + n)
            at += n + len(piece)
        if at <= room and tuple(size) not in seen:
            seen.add(tuple(size))
            yield at, pinned


def _spelled(vocabulary: Vocabulary, piece: str, first: bool) -> list[int] | None:
    """Ids whose bytes are the piece; behind others, a vocabulary of words writes the space before a word along with it."""
    wanted = piece.encode()
    for spelling in [piece] if first or not piece.startswith(" ") else [piece, piece[1:]]:
        try:
            ids = vocabulary.encode(spelling)
        except VocabularyError:
            continue
        if (vocabulary.decode_bytes(ids) if first else b"".join(map(vocabulary.token_bytes, ids))) == wanted:
            return ids
    return None
