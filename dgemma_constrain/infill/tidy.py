"""What a model's text is tidied to before it is judged: nothing twice, no blanks at its end, the block's indentation."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dgemma_constrain.infill.hole import Hole

_LINE = re.compile(r"\S[^\n]*")
CLOSERS = ")]}>\"'`;,:"


def tidied(hole: Hole, text: str, ending: str = "", body: str = "") -> Iterator[str]:
    """Texts for the hole to try in turn, the first that is whole being the one to take. Each has the hole's head and tail.

    ending: what must be closed in the hole, to be tried behind the text as it is. body: what stands for a missing one, behind
    a colon.
    """
    if not hole.several:
        text = text.split("\n", 1)[0]
    else:
        text = _in_block(hole, text)
    rest = hole.after.split("\n", 1)[0].rstrip("\r")
    if not rest or rest[0].isspace():
        text = text.rstrip()
    if not hole.head and hole.before[-1:] in (" ", "\t"):
        text = text.lstrip(" \t")
    if hole.tail and not (len(text) >= len(hole.head) + len(hole.tail) and text.endswith(hole.tail)):
        text += hole.tail
    if not text.startswith(hole.head) or not text[len(hole.head) : len(text) - len(hole.tail)].strip():
        return
    if text.strip() == _next_line(hole) and re.search(r"\w", text):  # not a bracket or quotes
        return
    ahead = (hole.tail + rest).strip()
    if len(ahead) > 2 and text.endswith(ahead) and not hole.tail:  # it wrote what stands there anyway
        shorter = text[: -len(ahead)].rstrip()
        if len(shorter) > len(hole.head):
            yield shorter
        return
    yield text
    if body and not hole.tail and text.endswith(":"):
        yield text + body
    if ending and not hole.tail:
        yield text + ending
    while not hole.tail and text and ahead and text[-1] in CLOSERS and text[-1] in ahead:  # a bracket closed once more
        text = text[:-1].rstrip()
        if len(text) <= len(hole.head):
            return
        yield text


def _in_block(hole: Hole, text: str) -> str:
    """The lines up to the first that is indented less than the cursor's line, or is the line that follows."""
    lines = text.split("\n")
    kept = [lines[0].rstrip() if len(lines) > 1 else lines[0]]
    following = _next_line(hole)
    for line in lines[1:]:
        if line.strip() and (not line.startswith(hole.indent) or line.strip() == following):
            break
        kept.append(line.rstrip())
    return "\n".join(kept)


def _next_line(hole: Hole) -> str | None:
    """The first line behind the cursor's that isn't empty."""
    stop = hole.after.find("\n")
    found = _LINE.search(hole.after, stop + 1) if stop >= 0 else None
    return found[0].strip() if found else None
