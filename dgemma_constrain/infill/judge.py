"""Whether a file is syntactically whole with its hole filled. tree-sitter itself says so, of the file as it will be.

A file may have errors elsewhere, and while it is written it usually has some. So a text is judged against the same file with
another text in its hole: a placeholder, or one with the brackets that are missing, or what stands there now. The first of these,
which is natural where the hole is, tells which errors lie elsewhere; the best, which lets the parser leave out and put in the
least, tells what the hole can mend. A filled hole must keep to the first (`faults`: no ERROR or MISSING node but its, or in place
of one of its), have no more of them, and cost no more than the best. An error on the hole's line is tolerated only if it lies beside the hole and the
best placeholders don't mend it; and in an error that spans the hole no more of its tokens may lie bare than of the first's. Nor
may a text take code right of the hole into a comment or a string, unless what ends that is there and ends nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property, reduce
from operator import and_
from time import thread_time
from typing import Any, NamedTuple

from dgemma_constrain.infill.faults import Faults, Sides
from dgemma_constrain.infill.languages import grammar
from dgemma_constrain.infill.parsing import OutOfTime, parse, parse_next, path_to, remember
from dgemma_constrain.infill.python import Reading

IDENTIFIER = "__HOLE__"
PLACEHOLDERS = ("__HOLE__", "__HOLE__;", ";", "__HOLE__()", ".__HOLE__", ", __HOLE__", " + __HOLE__", "0", "")
ENDINGS = (")", "]", "}", ":", "):", " ]", "))", "])", ")]", "})", '"', "'", '")', "')", "`", ">", " {}", "/>", "*/")
# Of open brackets:
BEGINNINGS = (
    "",
    "x ",
    "x: ",
    "x = ",
    ", ",
    '"x": ',
    ', "x": ',
    "if (x) ",
    "if x ",
    "; ",
    "(x) => ",
    ": ",
    ", function ",
)
OPENING = '"', "'", "`", "/*", ""
BRACKETS = 8  # that one hole is to close and open
PATIENCE = 0.05  # seconds of CPU time for trying placeholders in a file that is broken with each
OF_LANGUAGE = {
    "json": ("0", '"x"', '"x": 0', ', "x": 0', ", 0", ": 0", ""),
    "css": ("__HOLE__", "x: y;", "x {}", "0", ""),
    "html": ("__HOLE__", "<p></p>", 'x="y"', ""),
}
CLOSING = {"(": ")", "[": "]", "{": "}", "${": "}", "#{": "}", "$(": ")", "[[": "]]", "((": "))"}
_OPAQUE = ("comment", "string", "char", "heredoc", "regex", "template_string", "template_literal", "text")


class Verdict(NamedTuple):
    """clean: no error that isn't tolerated. errors: how many the file has."""

    clean: bool
    errors: int


class Judge:
    """Judges texts for one hole. on_time: asked while it parses; raises OutOfTime where no placeholder is read in time, and a text
    that isn't is no clean one; it may be set anew. `node` is the leaf at the hole in the placeholder's tree, `kind` the type of the largest
    node that is the placeholder alone, `inside` "comment" or "string" where the hole is in one, `ending` what must be closed in
    the hole. now: what stands in the hole."""

    def __init__(
        self, language: str, before: str, after: str, now: str = "", on_time: Callable[[], bool] = lambda: True
    ):
        from tree_sitter import Parser

        self._language, self.on_time = language, on_time
        self._parser = Parser(grammar(language))
        self._before, self._after = before.encode(), after.encode()
        self._blank = self._after[: len(self._after) - len(self._after.lstrip())]
        self._row, self._column = self._before.count(b"\n"), len(self._before) - self._before.rfind(b"\n") - 1
        self._sides, self._strict = Sides(self._before, self._after), True
        self._tree, self._kept, self._now = None, b"", now.encode()
        self._first, self._best, text, tree = self._best_placeholder(now)
        self._tree, self._kept, self.placeholder = tree, text.encode(), text
        remember(language, self._before + self._kept + self._after, tree, self._placed(self._kept))
        length, at = len(self._kept), len(self._before)
        always = reduce(and_, (faults.nodes for faults in self._best))
        self._unmended = Counter({one: n for one, n in always.items() if one[1][0] == one[2][0] != "in"})
        closing = text.removeprefix(IDENTIFIER)
        self.ending = closing if text != closing and (closing in ENDINGS or closing == self._missing[0]) else ""
        self._code_follows = not self._best[0].nodes and self._code_is_next(tree, length)
        self.node = tree.root_node.descendant_for_byte_range(at, at + length)
        top = self.node
        while top.parent and (top.parent.start_byte, top.parent.end_byte) == (top.start_byte, top.end_byte):
            top = top.parent
        self.kind = top.type
        self.inside = next(self._opaque(self.node, at), (None, None))[0]

    def verdict(self, text: str) -> Verdict:
        """Of the file with `text` in the hole."""
        data = text.encode()
        try:
            tree = self._parsed(data)
        except OutOfTime:
            return Verdict(False, 0)
        faults = self._sides.faults(tree, len(data))
        clean = not faults.nodes or self._no_worse(faults)
        # A `#` would take the code right of the hole into a comment, even where the file stays whole.
        if clean and self._code_follows:
            taken = self._follows(tree, len(data))
            clean = taken is None or self._waited_for(*taken, len(data))
        return Verdict(clean, faults.nodes.total())

    def _no_worse(self, faults: Faults) -> bool:
        """Whether they keep to the first placeholder's, are no more, and cost no more than the best's, or are some of a best one's."""
        if faults.nodes.total() > self._first.nodes.total():
            return False
        if faults.cost > self._best[0].cost and not any(faults.nodes <= one.nodes for one in self._best):
            return False
        if self._strict and not self._sides.on_the_line(faults) <= self._unmended:
            return False
        return faults.loose <= self._first.loose and self._sides.keeps_to(faults, self._first)

    def _best_placeholder(self, now: str) -> tuple[Faults, list[Faults], str, Any]:
        """What the first leads to, and the best, as far as there is time to try them, and the first of these and its tree."""
        first: Any = None
        best: list[Faults] = []
        in_code, began = True, thread_time()
        for text in self._placeholders(now):
            data = text.encode()
            try:
                tree = self._parsed(data)
            except OutOfTime:
                if first is None:
                    raise
                break
            faults = self._sides.faults(tree, len(data))
            if first is None:
                first, best, chosen = faults, [faults], (text, tree)
                self._tree, self._kept = tree, data
                in_code = self._code_is_next(tree, len(data))
            elif in_code and self._follows(tree, len(data)):
                continue  # a quote that takes the errors right of it into a string mends nothing
            elif faults.cost <= best[0].cost and self._mends(faults, first):
                if faults.cost < best[0].cost:
                    best, chosen = [], (text, tree)
                best.append(faults)
            if not faults.nodes or thread_time() - began > PATIENCE:
                break
        return first, best, *chosen

    def _mends(self, faults: Faults, first: Faults) -> bool:
        """Whether a placeholder that leads to them can be the best: it keeps to the first, and no new one begins in it."""
        new = faults.nodes - first.nodes
        return not any(start[0] == "in" for _, start, _ in new) and self._sides.keeps_to(faults, first)

    def _placeholders(self, now: str) -> Iterator[str]:
        first, *others = OF_LANGUAGE.get(self._language, PLACEHOLDERS)
        self._missing = "", ""
        yield first
        yield now
        close, open_ = self._missing = self._brackets()
        if len(close + open_) > BRACKETS:
            close = open_ = ""
        if close and not open_:
            yield IDENTIFIER + close
            yield close
        elif open_:
            for beginning in BEGINNINGS:
                yield close + beginning + open_
                yield IDENTIFIER + close + " " + beginning + open_
        yield from others
        yield from (IDENTIFIER + ending for ending in ENDINGS)

    def repairs(self) -> Iterator[str]:
        """Texts of which one may mend the hole's line: the placeholders, and what begins a string, a comment or a bracket right
        of it."""
        open_ = self._missing[1]
        tried = [self.placeholder, *self._placeholders("")]
        opening = *OPENING, *(open_[:k] for k in range(1, len(open_))), '"x": '.join(open_)
        for text in dict.fromkeys([*tried, *(one + two for two in opening for one in BEGINNINGS)]):
            yield text.replace(IDENTIFIER, "x")

    def forgive(self) -> None:
        """Tolerate the errors on the hole's line that the placeholders lead to, too: the hole can't mend them."""
        self._strict = False

    def _brackets(self) -> tuple[str, str]:
        """What must be closed in the hole and what opened, for brackets to match: told by those that lie in errors of the first
        placeholder's tree, since where there is no error they do match. The outermost ones are taken to match each other."""
        at, left, right = len(self._before), [], []
        todo = [self._tree.root_node]
        while todo:
            node = todo.pop()
            if node.child_count:
                todo += [one for one in reversed(node.children) if one.has_error or not one.child_count]
            elif node.start_byte == node.end_byte:
                continue
            elif node.type in CLOSING:
                (left if node.start_byte < at else right).append(node.type)
            elif node.type in CLOSING.values():
                side = left if node.start_byte < at else right
                if side and CLOSING.get(side[-1]) == node.type:
                    side.pop()
                else:
                    side.append(node.type)
        opened = [one for one in left if one in CLOSING]
        closed = [one for one in right if one not in CLOSING]
        while opened and closed and CLOSING[opened[0]] == closed[-1]:
            del opened[0], closed[-1]
        opening = {closer: opener for opener, closer in reversed(CLOSING.items())}
        return "".join(CLOSING[one] for one in reversed(opened)), "".join(opening[one] for one in reversed(closed))

    def nearest(self) -> int:
        """Where in the source the outermost definition or statement around the hole begins, in bytes."""
        at, cursor = len(self._before), self._tree.walk()
        if cursor.goto_first_child_for_byte(at) is None:
            return cursor.node.start_byte if cursor.goto_last_child() else 0
        return cursor.node.start_byte if cursor.node.start_byte <= at or cursor.goto_previous_sibling() else 0

    def following(self, most: int) -> str:
        """The text right of the hole; where it has more bytes, no more than what is left of the outermost definition or statement."""
        after = self._after
        if len(after) > most:
            stop = next((node.end_byte for node in self.around()), 0) - len(self._before) - len(self._kept)
            after = after[: max(stop, 0)]
        return after.decode()

    def around(self) -> Iterator[Any]:
        """The nodes of the placeholder's tree that the hole is in, the outermost first."""
        return path_to(self._tree, len(self._before))

    def is_inside(self, text: str, at: int) -> bool:
        """Whether the file's byte `at` lies in a comment or a string that begins before it, with a text in the hole. Raises
        OutOfTime."""
        leaf = self._parsed(text.encode()).root_node.descendant_for_byte_range(at, at + 1)
        return next(self._opaque(leaf, at), None) is not None

    def compiles(self, text: str) -> bool:
        """Whether Python itself reads the file, too, where it reads it with the placeholder: tree-sitter's grammar is looser.
        Always, in other languages."""
        return self._python is None or self._python.accepts(text.encode())

    @cached_property
    def _python(self) -> Reading | None:
        if self._language != "python":
            return None
        return Reading(self._before, self._kept, self._after, [self._tree.root_node, *self.around()])

    def _parsed(self, data: bytes) -> Any:
        """The tree with `data` in the hole, parsed anew only where it differs from the tree that is kept."""
        source = self._before + data + self._after
        if self._tree is None:
            return parse_next(self._language, self._parser, source, self.on_time, self._placed(data))
        old, at = self._tree.copy(), len(self._before)
        # With the blanks right of it, as in `parsing.edit`.
        texts = b"", self._kept + self._blank, data + self._blank
        old.edit(*(at + len(text) for text in texts), *map(self._point, texts))
        return parse(self._parser, source, self.on_time, old)

    def _placed(self, data: bytes) -> tuple[int, int, bytes]:
        """Where a placeholder stands, and instead of what."""
        return len(self._before), len(self._before) + len(data), self._now

    def _point(self, data: bytes) -> tuple[int, int]:
        """Row and column of the end of `data` in the hole."""
        rows = data.count(b"\n")
        return self._row + rows, len(data) - data.rfind(b"\n") - 1 if rows else self._column + len(data)

    def _follows(self, tree: Any, length: int) -> tuple[str, Any] | None:
        """ "comment" or "string" and its node, where the text right of the hole begins within one."""
        at = self._next(length)
        if at is None:
            return None
        return next(self._opaque(tree.root_node.descendant_for_byte_range(at, at + 1), at), None)

    def _code_is_next(self, tree: Any, length: int) -> bool:
        """Whether the text right of the hole begins outside of comments and strings, and isn't HTML's plain text."""
        at = self._next(length)
        if at is None or self._follows(tree, length):
            return at is None
        return tree.root_node.descendant_for_byte_range(at, at + 1).type != "text"

    def _next(self, length: int) -> int | None:
        """Where the first that isn't blank stands right of the hole, with so many bytes in it."""
        blank = len(self._blank)
        return None if blank == len(self._after) else len(self._before) + length + blank

    def _waited_for(self, what: str, node: Any, length: int) -> bool:
        """Whether the text right of the hole waits for the comment or string that the hole begins: what ends it there belongs
        to none with the placeholder, or is the end of a comment that begins right there."""
        ends = [one for one in (node.next_sibling, *node.children[-1:]) if one and one.type == "heredoc_end"]
        stop, begin = (ends[0] if ends else node).end_byte + len(self._kept) - length, self._next(len(self._kept))
        leaf = self._tree.root_node.descendant_for_byte_range(stop - 1, stop)
        there = list(self._opaque(leaf, stop))
        if not there:
            if what == "string":
                return bool(ends) or node.text.endswith((b'"', b"'", b"`", b">"))  # `>` of an #include
            return any(node.text.startswith(a) and node.text.endswith(b) for a, b in ((b"/*", b"*/"), (b"<!--", b"-->")))
        return what == "comment" and any((one.start_byte, one.end_byte) == (begin, stop) for kind, one in there if kind == what)

    @staticmethod
    def _opaque(leaf: Any, at: int) -> Iterator[tuple[str, Any]]:
        """What a leaf is part of that starts before `at`: "comment" or "string", and the node."""
        node, climbed = leaf, 0
        while node is not None and climbed < 4:
            if any(word in node.type for word in ("substitution", "interpolation", "expansion")):
                return
            if node.is_named and node.start_byte < at and node.parent is not None and node.type != "concatenated_string":
                for word in _OPAQUE:
                    if node.type.split("_")[-1] == word or node.type.startswith(word):
                        yield ("comment" if word == "comment" else "string"), node
                        break
            node, climbed = node.parent, climbed + 1
