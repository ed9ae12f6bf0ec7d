"""Cutting a text into the parts of a concatenation."""

from __future__ import annotations

from typing import Callable, Sequence


def split(text: str, parts: Sequence[Callable[[int], list[int]]]) -> list[str] | None:
    """The pieces of `text`, one for each of `parts` (see `Constraint.ends`); None if it cannot be cut so.

    Of all ways the one in which the first part is longest, then the second, and so on. Backtracking with remembered
    failures, so at most len(parts) · len(text) attempts.
    """
    failed: set[tuple[int, int]] = set()

    cuts = [0]
    options: list[list[int]] = []  # ends still to try for each part placed so far, longest last
    while len(cuts) <= len(parts) or cuts[-1] != len(text):
        k = len(cuts) - 1
        if k < len(parts) and len(options) == k:
            options.append(parts[k](cuts[-1]) if (k, cuts[-1]) not in failed else [])
        if k == len(parts) or not options[-1]:  # the end was not reached, or nothing is left to try here
            if k < len(parts):
                failed.add((k, cuts[-1]))
                options.pop()
            if not options:
                return None
            cuts.pop()
            continue
        cuts.append(options[-1].pop())
    return [text[a:b] for a, b in zip(cuts, cuts[1:])]
