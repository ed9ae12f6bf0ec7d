"""What the editor has: texts, kept in step with its edits.

A text is a list of lines in UTF-8, each with its end; only `\\n`, `\\r\\n` and `\\r` end one, as the protocol says (`str.splitlines`
knows many more). So an edit touches the lines it names and no others, however large the document, and a position's line needs no
index. Half a surrogate pair becomes U+FFFD, which is as long as it in every encoding, so that all positions stay right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lsprotocol.types import Position, Range, TextDocumentContentChangeEvent

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_ENDS = b"\r\n"
_HALF = re.compile("[\ud800-\udfff]")
ENCODINGS = ("utf-8", "utf-16", "utf-32")


class OutOfStep(ValueError):
    """An edit of a version that the document is already past."""


def lines_of(text: bytes) -> list[bytes]:
    """The lines with their ends; the last one has none (it may be empty)."""
    lines = _LINE.findall(text)
    if not lines or lines[-1].endswith((b"\n", b"\r")):
        lines.append(b"")
    return lines


def encoded(text: str) -> bytes:
    return _HALF.sub("\ufffd", text).encode()


@dataclass
class Document:
    """An open text. Positions are of `encoding`; offsets count characters (code points) of `text`."""

    uri: str
    language: str
    version: int
    encoding: str = "utf-16"
    lines: list[bytes] = field(default_factory=lambda: [b""])
    in_step: bool = True  # False after an edit that had to be refused, until the whole text comes again
    head: int = 0  # lines at the beginning that no edit touched since `parsed`, and at the end
    tail: int = 0
    touched: bool = True

    @classmethod
    def opened(cls, uri: str, language: str, version: int, text: str, encoding: str = "utf-16") -> Document:
        return cls(uri, language, version, encoding, lines_of(encoded(text)))

    @property
    def text(self) -> str:
        return b"".join(self.lines).decode()

    def __len__(self) -> int:
        """In bytes of UTF-8."""
        return sum(map(len, self.lines))

    def parsed(self) -> None:
        """Count from now on what isn't touched."""
        self.head = self.tail = len(self.lines)
        self.touched = False

    def change(self, changes: list[TextDocumentContentChangeEvent], version: int) -> None:
        """Apply edits in their order. What lies past the end means the end, as the protocol says; a range that is the wrong way
        round is turned. Raises OutOfStep, and changes nothing, for a version before the document's."""
        if version < self.version:
            self.in_step = False
            raise OutOfStep(f"version {version} of {self.uri} came after {self.version}; reopen the document")
        for change in changes:
            new = encoded(change.text)
            if getattr(change, "range", None) is None:
                self.lines, self.in_step = lines_of(new), True
                self.head, self.tail, self.touched = 0, 0, True
            else:
                self._splice(change.range, new)
        self.version = version

    def _splice(self, where: Range, new: bytes) -> None:
        (a, x), (b, y) = sorted((self.locate(where.start), self.locate(where.end)))
        first = (
            a - 1 if a and not x and self.lines[a - 1].endswith(b"\r") else a
        )  # a \n may come to stand behind its \r
        self.head, self.tail = min(self.head, first), min(self.tail, len(self.lines) - 1 - b)
        self.touched = True
        text = b"".join(self.lines[first:a]) + self.lines[a][:x] + new + self.lines[b][y:]
        pieces = lines_of(text)
        if b + 1 < len(self.lines) and not pieces[-1]:
            pieces.pop()  # line b keeps its end, so that nothing but the next line follows
        self.lines[first : b + 1] = pieces

    def locate(self, position: Position) -> tuple[int, int]:
        """The line and the byte in it. Inside a character means before it."""
        if position.line >= len(self.lines):
            return len(self.lines) - 1, len(self.lines[-1])
        number, column = max(position.line, 0), max(position.character, 0)
        line = self.lines[number].rstrip(_ENDS)
        if column >= len(line) or line.isascii():
            return number, min(column, len(line))
        if self.encoding == "utf-8":
            while line[column] & 0xC0 == 0x80:
                column -= 1
            return number, column
        if self.encoding == "utf-32":
            return number, len(line.decode()[:column].encode())
        before = line.decode().encode("utf-16-le")[: 2 * column]
        return number, len(before.decode("utf-16-le", "ignore").encode())

    def offset(self, position: Position) -> int:
        """Characters before a position."""
        line, byte = self.locate(position)
        return sum(map(_characters, self.lines[:line])) + _characters(self.lines[line][:byte])

    def position(self, offset: int) -> Position:
        """Where so many characters have been read; inside a line's end counts as before it."""
        for number, line in enumerate(self.lines):
            size = _characters(line)
            if offset < size or number == len(self.lines) - 1:
                break
            offset -= size
        return Position(number, units(line.decode()[: max(offset, 0)].rstrip("\r\n"), self.encoding))


def units(text: str, encoding: str) -> int:
    """The length of a text in code units of an encoding."""
    if encoding == "utf-32" or text.isascii():
        return len(text)
    return len(text.encode()) if encoding == "utf-8" else len(text.encode("utf-16-le")) // 2


def _characters(line: bytes) -> int:
    return len(line) if line.isascii() else len(line.decode())
