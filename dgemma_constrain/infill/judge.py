"""Whether a file is syntactically whole with its hole filled. tree-sitter itself says so, of the file as it will be.

A file may have errors elsewhere, and while it is written it usually has some. So a text is judged against the same file with
a placeholder in its hole: it must not lead to an ERROR or MISSING node that the placeholder doesn't lead to, nor to any on the
hole's own line. Places are
compared from the start of the file left of the hole, and from its end right of it.
"""

from __future__ import annotations

import ast
import time
import warnings
from functools import cached_property
from typing import Any, NamedTuple

from dgemma_constrain.infill.languages import grammar

IDENTIFIER = "__HOLE__"
PLACEHOLDERS = ("__HOLE__", "__HOLE__;", "__HOLE__()", ".__HOLE__", ", __HOLE__", " + __HOLE__", "0", "")
ENDINGS = (")", "]", "}", ":", "):", " ]", "))", "])", ")]", "})", '"', "'", '")', "')", "`", ">", " {}", "/>", "*/")
PATIENCE = 0.05  # seconds for trying placeholders in a file that is broken with each
OF_LANGUAGE = {
    "json": ("0", '"x"', '"x": 0', ', "x": 0', ", 0", ": 0", ""),
    "css": ("__HOLE__", "x: y;", "x {}", "0", ""),
    "html": ("__HOLE__", "<p></p>", 'x="y"', ""),
}
Place = tuple[
    str, int
]  # ("left", bytes from the start), ("in", bytes from the hole's start) or ("right", bytes from the end)
_OPAQUE = ("comment", "string", "char", "heredoc", "regex", "template", "text")


class Verdict(NamedTuple):
    """clean: no error that isn't tolerated. touching: tolerated errors that reach into the hole."""

    clean: bool
    touching: int


class Judge:
    """Judges texts for one hole. `node` is the leaf at the hole in the placeholder's tree, `kind` the type of the largest
    node that is the placeholder alone, `inside` "comment" or "string" where the hole is in one, `ending` what must be closed in
    the hole."""

    def __init__(self, language: str, before: str, after: str):
        from tree_sitter import Parser

        self._language = language
        self._parser = Parser(grammar(language))
        self._before, self._after = before.encode(), after.encode()
        self._row, self._column = self._before.count(b"\n"), len(self._before) - self._before.rfind(b"\n") - 1
        self._tree, self._length = None, 0
        trees = []
        began = time.monotonic()
        for text in (*OF_LANGUAGE.get(language, PLACEHOLDERS), *(IDENTIFIER + ending for ending in ENDINGS)):
            tree = self._parsed(text.encode())
            trees.append((self._errors(tree, len(text)), text, tree))
            if self._tree is None:
                self._tree, self._length = tree, len(text)
            if not trees[-1][0] or time.monotonic() - began > PATIENCE:
                break
        errors, text, tree = min(trees, key=lambda one: len(one[0]))
        self._tolerated = {one for one in errors if not self._on_the_line(one[1])}
        self._tree, self._length, self._placeholder = tree, len(text), text
        self.ending = text[len(IDENTIFIER) :] if text in [IDENTIFIER + ending for ending in ENDINGS] else ""
        self._next = self._leaf_after(tree, self._length)
        at = len(self._before)
        self.node = tree.root_node.descendant_for_byte_range(at, at + self._length)
        top = self.node
        while top.parent and (top.parent.start_byte, top.parent.end_byte) == (top.start_byte, top.end_byte):
            top = top.parent
        self.kind = top.type
        self.inside = self._opaque(self.node, at)

    def verdict(self, text: str) -> Verdict:
        """Of the file with `text` in the hole."""
        data = text.encode()
        tree = self._parsed(data)
        errors = self._errors(tree, len(data))
        if not errors <= self._tolerated or self._leaf_after(tree, len(data)) != self._next:
            return Verdict(False, len(errors))
        return Verdict(True, sum(1 for _, a, b in errors if a[0] != "right" and b[0] != "left"))

    def nearest(self) -> int:
        """Where in the source the outermost definition or statement around the hole begins, in bytes."""
        node, at = self._tree.root_node, len(self._before)
        inside = [child.start_byte for child in node.children if child.start_byte <= at]
        return inside[-1] if inside else 0

    def compiles(self, text: str) -> bool:
        """Whether Python itself reads the file, too, where it reads it with the placeholder: tree-sitter's grammar is looser.
        Always, in other languages."""
        return not self._is_python or self._reads(text)

    @cached_property
    def _is_python(self) -> bool:
        return self._language == "python" and self._reads(self._placeholder)

    def _reads(self, text: str) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it thinks of the file's escapes
            try:
                ast.parse(self._before + text.encode() + self._after)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return False
        return True

    def _parsed(self, data: bytes) -> Any:
        """The tree with `data` in the hole, parsed anew only where it differs from the tree that is kept."""
        source = self._before + data + self._after
        if self._tree is None:
            return self._parser.parse(source)
        old = self._tree.copy()
        at, now = len(self._before), (self._row, self._column)
        # What was in the hole is a placeholder, which has no line ends.
        rows = data.count(b"\n")
        new = (self._row + rows, len(data) - data.rfind(b"\n") - 1 if rows else self._column + len(data))
        old.edit(at, at + self._length, at + len(data), now, (self._row, self._column + self._length), new)
        return self._parser.parse(source, old)

    def _place(self, position: int, length: int) -> Place:
        start = len(self._before)
        if position < start or position == start and not length:
            return "left", position
        if position >= start + length:
            return "right", start + length + len(self._after) - position
        return "in", position - start

    def _on_the_line(self, place: Place) -> bool:
        """Whether an error begins on the hole's line: the hole is to mend it, so it isn't tolerated."""
        side, position = place
        if side == "left":
            return position > len(self._before) - self._column
        stop = self._after.find(b"\n")
        rest = len(self._after) if stop < 0 else stop
        return side == "in" or position >= len(self._after) - rest

    def _errors(self, tree: Any, length: int) -> set[tuple[str, Place, Place]]:
        """The ERROR and MISSING nodes: what they are, where they start and end."""
        found = set()
        todo = [tree.root_node] if tree.root_node.has_error else []
        while todo:
            node = todo.pop()
            if node.is_error or node.is_missing:
                what = f"missing {node.type}" if node.is_missing else "error"
                found.add((what, self._place(node.start_byte, length), self._place(node.end_byte, length)))
            todo += [child for child in node.children if child.has_error or child.is_error or child.is_missing]
        return found

    def _leaf_after(self, tree: Any, length: int) -> tuple[int, str | None]:
        """How the text right of the hole begins: where its first token starts, and whether that is a comment or a string.

        A filled hole mustn't change that, even where the file stays whole: a `#` would take what follows into a comment.
        """
        blank = len(self._after) - len(self._after.lstrip())
        if blank == len(self._after):
            return 0, None
        at = len(self._before) + length + blank
        leaf = tree.root_node.descendant_for_byte_range(at, at + 1)
        start = max(leaf.start_byte - at, -blank - 1)  # from inside the hole it is all the same from where
        return start, self._opaque(leaf, at)

    @staticmethod
    def _opaque(leaf: Any, at: int) -> str | None:
        """ "comment" or "string", where a leaf is part of one that starts before `at`."""
        node, climbed = leaf, 0
        while node is not None and climbed < 4:
            if any(word in node.type for word in ("substitution", "interpolation", "expansion")):
                return None
            if node.is_named and node.start_byte < at and node.parent is not None:
                for word in _OPAQUE:
                    if node.type.split("_")[-1] == word or node.type.startswith(word):
                        return "comment" if word == "comment" else "string"
            node, climbed = node.parent, climbed + 1
        return None
