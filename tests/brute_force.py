"""What a canvas may hold, by going through every string of tokens."""

from __future__ import annotations

import itertools


class BruteForce:
    """A problem and its solution by enumeration. Subclasses set what is used here, and say what is in the language.

    tokens: bytes or None; eos: ids, pad: an id or None; pinned: {position: id}; length, more, tail: as for a canvas;
    logp float64[length, tokens].
    """

    def can_end(self, text: bytes, more: int = 0) -> bool:
        """Whether the text, or some text with up to `more` tokens after it, is in the language."""
        raise NotImplementedError

    def valid(self, ids) -> int | None:
        """None for an invalid string, otherwise how many of its positions are scored."""
        if any(ids[i] != t for i, t in self.pinned.items()):
            return None
        stop = next((i for i, t in enumerate(ids) if t in self.eos), len(ids))
        if any(self.tokens[t] is None for t in ids[:stop]):
            return None
        text = b"".join(self.tokens[t] for t in ids[:stop])
        if stop == len(ids):
            return stop if self.can_end(text, self.more) else None
        if not self.can_end(text):
            return None
        if self.tail == "any":
            return stop + 1
        return len(ids) if all(t in self.eos or t == self.pad for t in ids[stop:]) else None

    def solutions(self) -> dict[tuple, float]:
        """Valid strings and their log-weights over the scored positions."""
        return {
            ids: float(self.logp[range(scored), ids[:scored]].sum())
            for ids in itertools.product(range(len(self.tokens)), repeat=self.length)
            if (scored := self.valid(ids)) is not None
        }
