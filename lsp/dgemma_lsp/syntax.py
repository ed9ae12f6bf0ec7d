"""A document's tree, parsed when it is asked for: from the tree before and what was edited since.

tree-sitter parses an edited text anew only where it differs, if it is told where (`Tree.edit`). A document counts the lines at its
beginning and end that no edit has touched since it was parsed; what lies between them, before and now, is one edit that
covers all of those. So an edit costs nothing here, and its bytes and points are those of the two texts, whatever came between.
"""

from __future__ import annotations

import asyncio
from typing import Any

import dgemma_constrain as dc
from dgemma_constrain.infill import languages
from dgemma_lsp.documents import Document

_CODE = ("interpolation", "template_substitution", "command_substitution", "expansion")  # in a string, but none of it
_PIECE = 4096  # bytes that the parser reads at once: between two, other threads have their turn


class Syntax:
    """The tree of one document; `tree` is None in a language that isn't known or has no grammar here."""

    def __init__(self, document: Document):
        self.document = document
        self.tree: Any = None
        self.source = b""  # which the tree is of
        self._parsing: asyncio.Task | None = None
        try:
            self._grammar = languages.grammar(document.language)
        except dc.LanguageError:
            self._grammar = None

    async def inside(self, cursor: int) -> str | None:
        """ "comment" or "string", where the cursor (in characters of the document as it is now) is in one."""
        at = len(self.document.text[:cursor].encode())
        await self.parse()
        return None if self.tree is None else inside(self.tree, self.source, at)

    async def parse(self) -> None:
        """Bring the tree up to the document as it is now. One parse after the other, each of which is of use to the next."""
        while self._parsing is not None:
            await asyncio.shield(self._parsing)
        if self._grammar is not None and (self.tree is None or self.document.touched):
            self._parsing = asyncio.ensure_future(self._parse())
            await asyncio.shield(self._parsing)

    async def _parse(self) -> None:
        source = b"".join(self.document.lines)
        old, self.tree = self._edited(source), None
        self.document.parsed()
        try:
            self.tree = await asyncio.to_thread(parsed, self._grammar, source, old)
            self.source = source
        finally:
            self._parsing = None

    def _edited(self, source: bytes) -> Any:
        """The tree with the edit told that led to this source."""
        if self.tree is None:
            return None
        lines, head, tail = self.document.lines, self.document.head, self.document.tail
        start, kept = sum(map(len, lines[:head])), sum(map(len, lines[len(lines) - tail :]))
        end, new_end = len(self.source) - kept, len(source) - kept
        self.tree.edit(start, end, new_end, _point(source, start), _point(self.source, end), _point(source, new_end))
        return self.tree


def parsed(grammar: Any, source: bytes, old: Any = None) -> Any:
    """The tree of a text, from one whose edits have been told."""
    from tree_sitter import Parser

    def read(at: int, point: Any) -> bytes:
        return source[at : at + _PIECE]

    parser = Parser(grammar)
    return parser.parse(read) if old is None else parser.parse(read, old)


def _point(source: bytes, at: int) -> tuple[int, int]:
    """Row and byte in it, as tree-sitter counts: only `\\n` ends a row."""
    return source.count(b"\n", 0, at), at - source.rfind(b"\n", 0, at) - 1


def inside(tree: Any, source: bytes, at: int) -> str | None:
    """ "comment" or "string", where a place (in bytes) is in one."""
    node = tree.root_node.descendant_for_byte_range(max(at - 1, 0), at)
    while node is not None:
        if node.type in _CODE and node.start_byte < at < node.end_byte:
            return None
        ends = node.end_byte - source[node.start_byte : node.end_byte].endswith((b"\n", b"*/"))
        if "comment" in node.type and node.start_byte < at <= ends:
            return "comment"
        if ("string" in node.type or "char" in node.type) and node.start_byte < at < node.end_byte:
            return "string"
        node = node.parent
    return None
