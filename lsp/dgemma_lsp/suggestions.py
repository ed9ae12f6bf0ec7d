"""What may be shown: suggestions that are typed through, those that were turned down, brackets that are there already."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from dataclasses import dataclass

KEPT = 256
TURNED_DOWN = 2  # so often, and it isn't shown there again unless asked for
PAIRS = {")": "(", "]": "[", "}": "{"}
_NEAR = 20_000  # characters on either side in which brackets are counted


@dataclass(frozen=True)
class Suggestion:
    """`text` for source[start:end]; the cursor stands at `end`."""

    text: str
    start: int
    end: int
    score: float = 0.0


@dataclass(frozen=True)
class Shown:
    """A suggestion and the source that it was made for, but for what lies between."""

    uri: str
    text: str
    start: int
    before: int  # hashes
    after: int
    after_length: int
    line: str  # before it, on its line

    def typed(self, source: str, cursor: int | None = None) -> str | None:
        """What stands in its place now, up to the cursor; None if anything else changed."""
        end = len(source) - self.after_length
        if end < self.start or cursor not in (None, end):
            return None
        if hash(source[end:]) != self.after or hash(source[: self.start]) != self.before:
            return None
        return source[self.start : end]


class Memory:
    """What was shown, newest last, and what became of it. Counts are local and go nowhere."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._shown: OrderedDict[Shown, None] = OrderedDict()
        self._offered: dict[str, Shown] = {}
        self._turned_down: OrderedDict[tuple[str, str], int] = OrderedDict()

    def keep(self, uri: str, source: str, suggestion: Suggestion) -> Shown:
        start, end = suggestion.start, suggestion.end
        line = source[max(source.rfind("\n", 0, start), source.rfind("\r", 0, start)) + 1 : start]
        shown = Shown(
            uri, suggestion.text, start, hash(source[:start]), hash(source[end:]), len(source) - end, line.strip()
        )
        self._shown[shown] = None
        self._shown.move_to_end(shown)
        if len(self._shown) > KEPT:
            self._shown.popitem(last=False)
        return shown

    def typed_through(self, uri: str, source: str, cursor: int) -> Suggestion | None:
        """The rest of a suggestion whose beginning has been typed since."""
        for shown in reversed(self._shown):
            if (
                shown.uri != uri
                or len(source) - cursor != shown.after_length
                or not 0 <= cursor - shown.start < len(shown.text)
            ):
                continue
            if shown.text.startswith(source[shown.start : cursor]) and shown.typed(source, cursor) is not None:
                return Suggestion(shown.text, shown.start, cursor)
        return None

    def offer(self, uri: str, source: str, suggestion: Suggestion) -> None:
        """Note that an editor was given this."""
        self._offered[uri] = self.keep(uri, source, suggestion)
        self.counts["shown"] += 1

    def settle(self, uri: str, source: str) -> None:
        """See what became of what was offered last in a document: taken, turned down, or not yet known."""
        shown = self._offered.get(uri)
        typed = shown and shown.typed(source)
        if not typed:
            return
        if typed.startswith(shown.text):
            self.accepted(uri)
        elif not shown.text.startswith(typed):
            del self._offered[uri]
            self.counts["rejected"] += 1
            key = shown.line, shown.text
            self._turned_down[key] = self._turned_down.pop(key, 0) + 1
            if len(self._turned_down) > KEPT:
                self._turned_down.popitem(last=False)

    def accepted(self, uri: str) -> None:
        if self._offered.pop(uri, None) is not None:
            self.counts["accepted"] += 1

    def unwanted(self, uri: str, source: str, suggestion: Suggestion) -> bool:
        """Whether this was turned down on such a line before."""
        line = source[max(source.rfind("\n", 0, suggestion.start), source.rfind("\r", 0, suggestion.start)) + 1 :]
        line = line[: suggestion.start - (len(source) - len(line))].strip()
        return self._turned_down.get((line, suggestion.text), 0) >= TURNED_DOWN

    def forget(self, uri: str) -> None:
        """A document was closed."""
        self._offered.pop(uri, None)
        for shown in [s for s in self._shown if s.uri == uri]:
            del self._shown[shown]


class Pause:
    """How long to wait for more typing: a bit more than this hand's usual time between two edits, within bounds."""

    def __init__(self) -> None:
        self._gap: float | None = None  # seconds
        self._last = 0.0

    def edited(self, now: float | None = None) -> None:
        now = time.monotonic() if now is None else now
        gap, self._last = now - self._last, now
        if gap < 1:  # a longer one is a thought, not a key
            self._gap = gap if self._gap is None else 0.8 * self._gap + 0.2 * gap

    def seconds(self, least: int, most: int, now: float | None = None) -> float:
        """From now on; least and most in milliseconds since the last edit."""
        now = time.monotonic() if now is None else now
        usual = least / 1e3 if self._gap is None else 1.3 * self._gap
        return max(0.0, self._last + min(max(usual, least / 1e3), most / 1e3) - now)


def without_doubled_brackets(suggestion: Suggestion, source: str) -> Suggestion:
    """Without those closing brackets at its end (and what follows them there) that the text behind it closes already.

    A bracket that the suggestion closes and did not open was opened before it; if all those that the text behind closes are no
    longer open then, one of the two is too many, and it is the suggestion's.
    """
    before = source[max(0, suggestion.start - _NEAR) : suggestion.start]
    after = source[suggestion.end : suggestion.end + _NEAR]
    text = suggestion.text
    waiting, closed_behind = len(_unmatched(before)[0]), len(_unmatched(after)[1])
    while True:
        opened, closed = _unmatched(text)
        if waiting - len(closed) + len(opened) >= closed_behind or not closed:
            break
        if closed[-1] != len(text.rstrip(" \t;,")) - 1:  # not at its end
            break
        text = text[: closed[-1]]
    return Suggestion(text, suggestion.start, suggestion.end, suggestion.score)


def _unmatched(text: str) -> tuple[list[int], list[int]]:
    """Where opening brackets stand that nothing closes, and closing ones that nothing opened; strings on one line are skipped."""
    opened: list[int] = []
    closed: list[int] = []
    quote = ""
    skip = False
    for at, c in enumerate(text):
        if skip:
            skip = False
        elif c == "\\":
            skip = bool(quote)
        elif quote:
            quote = "" if c in (quote, "\n") else quote
        elif c in "\"'`":
            quote = c
        elif c in "([{":
            opened.append(at)
        elif c in PAIRS:
            if opened and text[opened[-1]] == PAIRS[c]:
                opened.pop()
            elif not opened:
                closed.append(at)
    return opened, closed
