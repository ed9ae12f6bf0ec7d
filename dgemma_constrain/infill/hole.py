"""The hole: what is to be written where, by the text around it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

from dgemma_constrain.errors import ConstraintError

WORD = 256  # characters of one on either side at most
LEAST, MOST = 2_000, 20_000  # characters on either side that are looked at where the file takes too long
OPENERS = (":", "{", "(", "[", "=>", "then", "do")


@dataclass(frozen=True)
class Hole:
    """A text is written between `before` and `after`; it begins with `head` and ends with `tail`.

    before, after  the source around the hole, with its own line ends
    head, tail     the pieces of a word that stand left and right of the cursor. They belong to the hole ("token healing"): a
                   model that reads half a word has never seen how it goes on
    start, end     characters start:end of the source are what a completion replaces; head and tail lie outside and stay
    newline        the file's line end. Inside the hole it is always "\\n"
    indent         blanks that the cursor's line begins with
    several        whether several lines are wanted
    """

    before: str
    after: str
    head: str
    tail: str
    start: int
    end: int
    newline: str
    indent: str
    several: bool

    def filled(self, text: str) -> str:
        """What stands in the source where the hole was: `text`, which has head and tail, with the file's line ends."""
        return text.replace("\n", self.newline)


def find(source: str, where: int | tuple[int, int], several: bool | None = None) -> Hole:
    """The hole at a cursor, or instead of a span (start, end); both in characters of the source.

    several: whether several lines are wanted; None tells it by the text: yes in an empty body and for a span of several
    lines. Raises ConstraintError for a place outside the source, and a source that isn't Unicode text.
    """
    if not isinstance(source, str):
        raise ConstraintError(f"the source is a {type(source).__name__}; give a str")
    pair = (where, where) if isinstance(where, Integral) else where
    if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(isinstance(one, Integral) for one in pair):
        raise ConstraintError(f"{where!r} is no place: give a cursor, or a span (start, end), in characters")
    start, end = map(int, pair)
    if 0 <= end < start <= len(source):
        raise ConstraintError(f"the span {start}:{end} ends before it begins")
    if not 0 <= start <= end <= len(source):
        raise ConstraintError(f"the hole {start}:{end} lies outside the source, which has {len(source)} characters")
    try:
        source.encode()
    except UnicodeEncodeError as error:
        raise ConstraintError(f"the source is no text: character {error.start} is half a surrogate pair") from None
    for place in (start, end):
        if place and source[place - 1 : place + 1] == "\r\n":
            raise ConstraintError(f"position {place} lies inside a line end; move it by one character")
    left = start
    while left > start - WORD and left and _in_word(source[left - 1]):
        left -= 1
    right = end
    # Right of the cursor there is a piece of the same word only if the cursor stands inside one.
    if (left < start or end > start) and end and _in_word(source[end - 1]):
        while right < min(end + WORD, len(source)) and _in_word(source[right]):
            right += 1
    line = source[max(source.rfind("\n", 0, start), source.rfind("\r", 0, start)) + 1 : start]
    if several is None:
        several = _wants_several(source, start, end, line)
    return Hole(
        before=source[:left],
        after=source[right:],
        head=source[left:start],
        tail=source[end:right],
        start=start,
        end=end,
        newline=_line_end(source),
        indent=line[: len(line) - len(line.lstrip())],
        several=several,
    )


def nearby(hole: Hole) -> Hole:
    """The same hole in the lines around it alone: from a line that isn't indented to one that isn't, where those are near."""
    return replace(hole, before=_near(hole.before, -1), after=_near(hole.after, 1))


def _near(text: str, side: int) -> str:
    """What is nearest the end of a text (side -1) or its beginning (1), LEAST characters or some more."""
    if len(text) <= LEAST:
        return text
    ahead = text[-MOST:-LEAST] if side < 0 else text[LEAST:MOST]
    starts = [found.end() for found in re.finditer(r"[\r\n](?=[^\s)}\]])", ahead)]
    if side < 0:
        return text[-LEAST - len(ahead) + starts[-1] :] if starts else text[-LEAST:]
    return text[: LEAST + starts[0]] if starts else text[:LEAST]


def _in_word(character: str) -> bool:
    return character == "_" or character.isalnum()


def _line_end(source: str) -> str:
    first = source.find("\n")
    if first < 0:
        return "\r" if "\r" in source else "\n"
    return "\r\n" if source[first - 1 : first] == "\r" else "\n"


def _wants_several(source: str, start: int, end: int, line: str) -> bool:
    """A span of several lines; or an empty body: behind an opener nothing stands that is indented deeper."""
    if "\n" in source[start:end]:
        return True
    rest, _, below = source[end:].partition("\n")
    if rest.strip():
        return False
    above = source[: start - len(line)].rstrip() if not line.strip() else None
    opening = line if above is None else above[above.rfind("\n") + 1 :]
    if not opening.rstrip().endswith(OPENERS):
        return False
    indent = len(opening) - len(opening.lstrip())
    following = next((one for one in below.split("\n") if one.strip()), "")
    return len(following) - len(following.lstrip()) <= indent


def context(hole: Hole, around: Iterable[Any], fits: Callable[[str], bool]) -> str:
    """The text before the hole as a model is shown it: all of it where that fits, else the first lines of the definitions
    around the hole and, behind them, as much of what stands nearest as fits.

    around: the tree's nodes that the hole is in, the outermost first. fits: whether a text fits the model's window.
    """
    before = hole.before.replace("\r\n", "\n")
    if fits(before):
        return before
    data = hole.before.encode()
    headers = []
    for node in around:
        if any(word in node.type for word in ("class", "function", "method", "impl", "struct", "interface")):
            line = data.rfind(b"\n", 0, node.start_byte) + 1
            stop = data.find(b"\n", line)
            if line < len(data):
                headers.append((line, data[line : stop if stop >= 0 else None].decode().rstrip("\r") + "\n"))
    starts = [len(before), *reversed([one.end() for one in re.finditer("\n", before[:-1])]), 0]  # of the last lines

    def too_much(at: int) -> bool:
        near = before[at:]
        return not fits(_outside(headers, data, near) + near)

    some = 1
    while some < len(starts) and not too_much(starts[some]):
        some *= 2
    whole = bisect_left(starts[:some], True, lo=1, key=too_much) - 1
    at = starts[whole]
    if not whole:  # the last line alone is too long
        at -= bisect_left(range(len(before) - starts[1] + 1), True, lo=1, key=lambda n: too_much(len(before) - n)) - 1
    return _outside(headers, data, before[at:]) + before[at:]


def _outside(headers: list[tuple[int, str]], data: bytes, near: str) -> str:
    """The headers that what is near doesn't show."""
    first = len(data) - len(near.encode())
    return "".join(text for line, text in headers if line < first)
