"""The syntax of Python's `re` module for str patterns, as of 3.11, with its errors at its positions."""

from __future__ import annotations

import re
import sys
import unicodedata

from dgemma_constrain.automata.charset import ANY, EMPTY, Charset
from dgemma_constrain.constraints.regex.characters import ignoring_case, shorthand, single
from dgemma_constrain.constraints.regex.reader import HEX_DIGITS, Reader
from dgemma_constrain.constraints.regex.syntax import (
    EMPTY_TEXT,
    LAST_LINE_END,
    NEWLINE,
    TEXT_END,
    TEXT_START,
    Boundary,
    Cat,
    Chars,
    Group,
    Look,
    Node,
    Repeat,
    alt,
    cat,
    is_assertion,
    line_end,
    line_start,
    repeat,
    width,
)  # fmt: skip

FLAGS = "aiLmsux"
MAX_REPEAT = 2**32 - 1  # `re` refuses from here on
NO_EMPTY_BOUNDARY = sys.version_info < (3, 14)  # `\B` does not match in the empty text before Python 3.14
_CONTROL = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
# In comments too `re` reads a backslash and what follows as one: neither "\)" nor a "\" at a line's end ends them.
_COMMENT = re.compile(r"(?:[^\\)]|\\.)*\)", re.DOTALL)
_BLANK = re.compile(r"[ \t\n\r\v\f]*(?:#(?:[^\\\n]|\\.)*\n?)?", re.DOTALL)
_HEX_LENGTH = {"x": 2, "u": 4, "U": 8}


class PythonReader(Reader):
    flavor = "python"
    bracket_opens_class = True

    def __init__(self, pattern: str, ignore_case: bool = False):
        super().__init__(pattern)
        self.ignore_case = ignore_case

    # Flags ----------------------------------------------------------------------------------------------------------

    def prologue(self) -> frozenset[str]:
        """`(?i)` and the like at the very start; comments, and blanks after `(?x)`, may stand between them."""
        flags = frozenset("i" * self.ignore_case)
        while True:
            start = self.at
            if "x" in flags and self.skip_blank():
                continue
            if self.take("(?"):
                if self.take("#"):
                    self.skip_comment(start)
                    continue
                letters = self.take_while(FLAGS)
                if letters and self.next() == ")":
                    self.at = start + 2
                    flags |= self.flag_letters()
                    self.take(")")
                    continue
            self.at = start
            return flags - {"u"}

    def skip_blank(self) -> bool:
        """Under (?x): step over white space and `# …` to the end of the line."""
        start = self.at
        self.at = _BLANK.match(self.pattern, start).end()
        return self.at > start

    def skip_comment(self, opened: int) -> None:
        comment = _COMMENT.match(self.pattern, self.at)
        if comment is None:
            raise self.error("missing ), unterminated comment", opened)
        self.at = comment.end()

    def flag_letters(self) -> frozenset[str]:
        letters = self.take_while(FLAGS)
        if "L" in letters:
            raise self.error(
                "bad inline flags: cannot use 'L' flag with a str pattern",
                self.at - len(letters) + letters.index("L") + 1,
            )
        if "a" in letters and "u" in letters:
            raise self.error(
                "bad inline flags: flags 'a', 'u' and 'L' are incompatible",
                self.at - len(letters) + max(letters.index("a"), letters.index("u")) + 1,
            )
        return frozenset(letters)

    def scoped_flags(self, flags: frozenset[str], opened: int) -> frozenset[str]:
        """`i-s:` of `(?i-s:…)`; the flags that hold inside."""
        on = self.flag_letters()
        if self.next() == ")" and on:
            self.at += 1
            raise self.error("global flags not at the start of the expression", opened)
        off: frozenset[str] = frozenset()
        if self.take("-"):
            start = self.at
            off = frozenset(self.take_while(FLAGS))
            if not off:
                raise self.error("unknown flag" if self.next().isalpha() else "missing flag")
            if off & set("aLu"):
                bad = next(i for i in range(start, self.at) if self.pattern[i] in "aLu")
                raise self.error("bad inline flags: cannot turn off flags 'a', 'u' and 'L'", bad + 1)
        if not self.take(":"):
            expected = "missing :" if off else "missing -, : or )"
            raise self.error("unknown flag" if self.next().isalpha() else expected)
        if on & off:
            raise self.error("bad inline flags: flag turned on and off", self.at - 1)
        if on & set("au"):
            flags -= {"a"}
        return (flags | on - {"u"}) - off

    # Sequences ------------------------------------------------------------------------------------------------------

    def alternative(self, flags: frozenset[str]) -> Node:
        items: list[Node] = []
        repeatable = "nothing to repeat"  # or "" where a quantifier may follow
        while self.at < len(self.pattern) and self.next() not in "|)":
            if "x" in flags and self.skip_blank():
                continue
            start = self.at
            if self.take("(?#"):
                self.skip_comment(start)
                continue
            bounds = self.quantifier()
            if bounds is None:
                item, repeatable = self.atom(flags)
                items.append(item)
            elif repeatable:
                raise self.error(repeatable, start)
            else:
                items[-1] = self.repeated(items[-1], bounds, start)
                repeatable = "multiple repeat"
        return cat(items)

    def quantifier(self) -> tuple[int, int | None] | None:
        """The bounds of a quantifier, or None: a "{" that begins none is an ordinary character."""
        start = self.at
        for sign, bounds in ("?", (0, 1)), ("*", (0, None)), ("+", (1, None)):
            if self.take(sign):
                return bounds
        if not self.take("{") or self.next() == "}":
            self.at = start
            return None
        least = self.take_decimal()
        most = self.take_decimal() if self.take(",") else least
        if not self.take("}"):
            self.at = start
            return None
        if max(len(least), len(most)) > 10 or max(int(least or 0), int(most or 0)) >= MAX_REPEAT:
            raise self.error("the repetition number is too large", start)
        if most and int(most) < int(least or 0):
            raise self.error("min repeat greater than max repeat", start + 1)
        return int(least or 0), int(most) if most else None

    def repeated(self, item: Node, bounds: tuple[int, int | None], position: int) -> Node:
        if self.take("+"):
            return self.possessive(item, *bounds, position)
        return repeat(item, *bounds, lazy=self.take("?"))

    def possessive(self, item: Node, least: int, most: int | None, position: int) -> Node:
        """`X{least,most}+` where X can match a place in one way only: it stops only where no further X follows.

        That makes it regular, and exactly this; in general a possessive repeat depends on the order of alternatives.
        """
        item = _unwrapped(item)
        if least != most and (not _one_way(item) or width(item)[0] == 0):
            raise self.error("this possessive repeat or atomic group is not supported: use plain groups", position)
        if least == most:
            return self.atomic(repeat(item, least, most), position)
        stop = Look(item, ahead=True, negative=True)
        if most is None:
            return cat([repeat(item, least, None), stop])
        return alt([repeat(item, most, most), cat([repeat(item, least, most - 1), stop])])

    def atomic(self, body: Node, position: int) -> Node:
        """`(?>…)`: exact where nothing in it can match in two ways, but for one greedy repeat at its end."""
        body = _unwrapped(body)
        parts = body.parts if isinstance(body, Cat) else (body,)
        if parts and isinstance(parts[-1], Repeat) and not parts[-1].lazy:
            last = parts[-1]
            if all(map(_one_way, parts[:-1])) and last.least != last.most:
                return cat([*parts[:-1], self.possessive(last.body, last.least, last.most, position)])
        if all(map(_one_way, parts)):
            return body
        return self.possessive(body, 0, 1, position)  # raises

    # Atoms ----------------------------------------------------------------------------------------------------------

    def atom(self, flags: frozenset[str]) -> tuple[Node, str]:
        """One item, and why no quantifier may follow it ("" if one may)."""
        start = self.at
        character = self.next()
        self.at += 1
        if character == "\\":
            return self.escape(flags, start)
        if character == "[":
            return Chars(self.char_class(flags, start)), ""
        if character == "(":
            return self.group(flags, start), ""
        if character == ".":
            return Chars(ANY if "s" in flags else ~NEWLINE), ""
        if character == "^":
            return line_start(NEWLINE) if "m" in flags else TEXT_START, "nothing to repeat"
        if character == "$":
            return line_end(NEWLINE) if "m" in flags else LAST_LINE_END, "nothing to repeat"
        return self.literal(character, flags), ""

    def literal(self, character: str, flags: frozenset[str]) -> Node:
        return Chars(self.class_set(single(character), EMPTY, flags))

    def class_set(self, characters: Charset, sets: Charset, flags: frozenset[str]) -> Charset:
        if "i" in flags:
            characters = ignoring_case(characters, "ascii" if "a" in flags else "python")
        return characters | sets if sets else characters

    def group(self, flags: frozenset[str], opened: int) -> Node:
        if not self.take("?"):
            return self.capture(None, flags, opened, self.at)
        start = self.at
        kind = self.next()
        self.at += 1
        if not kind:
            raise self.error("unexpected end of pattern", start)
        if kind == "P":
            return self.python_extension(flags, opened)
        if kind == ":":
            return self.closed(flags, opened)
        if kind == ">":
            return self.atomic(self.closed(flags, opened), opened)
        if kind == "(":
            raise self.irregular("a conditional group", opened)
        ahead = kind != "<"
        if not ahead:
            kind = self.next()
            self.at += 1
            if not kind:
                raise self.error("unexpected end of pattern", start + 1)
            if kind not in "=!":
                hint = "; a named group is (?P<name>…)" if kind.isidentifier() else ""
                raise self.error(f"unknown extension ?<{kind}{hint}", start - 1)
        if kind in "=!":
            body = self.closed(flags, opened)
            if not ahead and len(set(width(body))) != 1:
                raise self.error("look-behind requires fixed-width pattern", opened)
            return Look(body, ahead, negative=kind == "!")
        self.at = start
        if kind not in FLAGS + "-":
            raise self.error(f"unknown extension ?{kind}", start - 1)
        return self.closed(self.scoped_flags(flags, opened), opened)

    def python_extension(self, flags: frozenset[str], opened: int) -> Node:
        """What follows `(?P`."""
        start = self.at
        if self.take("="):
            raise self.irregular("a back-reference", opened)
        if not self.take("<"):
            if start == len(self.pattern):
                raise self.error("unexpected end of pattern")
            raise self.error(f"unknown extension ?P{self.next()}", opened + 1)
        name = self.until(">", "group name")
        if not name.isidentifier():
            raise self.error(f"bad character in group name {name!r}", start + 1)
        return self.capture(name, flags, opened, start + 1)

    def until(self, terminator: str, what: str) -> str:
        start = self.at
        end = self.pattern.find(terminator, start)
        if end == start or start == len(self.pattern):
            raise self.error(f"missing {what}")
        if end < 0:
            raise self.error(f"missing {terminator}, unterminated name")
        self.at = end + 1
        return self.pattern[start:end]

    def capture(self, name: str | None, flags: frozenset[str], opened: int, position: int) -> Node:
        number = self.new_group(name, position)
        return Group(self.closed(flags, opened), number, name)

    # Escapes --------------------------------------------------------------------------------------------------------

    def escape(self, flags: frozenset[str], start: int) -> tuple[Node, str]:
        """Outside a class, the cursor behind the backslash."""
        letter = self.next()
        if letter and letter in "AZbB":
            self.at += 1
            word = shorthand("w", "ascii" if "a" in flags else "python")
            boundary = Boundary(word, letter == "B", nonempty=letter == "B" and NO_EMPTY_BOUNDARY)
            return {"A": TEXT_START, "Z": TEXT_END}.get(letter, boundary), "nothing to repeat"
        if letter and letter in "123456789":
            digits = self.take_while("0123456789", 2)
            octal = len(digits) == 2 and set(digits + self.next()) <= set("01234567") and self.next()
            if not octal:
                raise self.irregular("a back-reference", start)
            self.at = start + 1
        item = self.escaped(flags, start)
        return (Chars(item) if isinstance(item, Charset) else self.literal(chr(item), flags)), ""

    def class_item(self, flags: frozenset[str], opened: int) -> int | Charset:
        start = self.at
        if start == len(self.pattern):
            raise self.error("unterminated character set", opened)
        self.at += 1
        character = self.pattern[start]
        if character != "\\":
            return ord(character)
        if self.take("b"):
            return 8
        if self.next() and self.next() in "89":
            raise self.error(f"bad escape \\{self.next()}", start)
        return self.escaped(flags, start)

    def escaped(self, flags: frozenset[str], start: int) -> int | Charset:
        """What a backslash at `start` means, inside a class or out: a code point or a set."""
        letter = self.next()
        self.at += 1
        if not letter:
            raise self.error("bad escape (end of pattern)", start)
        if letter in "dDwWsS":
            return shorthand(letter, "ascii" if "a" in flags else "python")
        if letter in _CONTROL and letter != "b":
            return ord(_CONTROL[letter])
        if letter in _HEX_LENGTH:
            digits = self.take_while(HEX_DIGITS, _HEX_LENGTH[letter])
            if len(digits) < _HEX_LENGTH[letter]:
                raise self.error(f"incomplete escape {self.pattern[start : self.at]}", start)
            if int(digits, 16) > 0x10FFFF:
                raise self.error(f"bad escape {self.pattern[start : self.at]}", start)
            return int(digits, 16)
        if letter == "N":
            return self.named_character(start)
        if letter in "01234567":
            self.take_while("01234567", 2)
            value = int(self.pattern[start + 1 : self.at], 8)
            if value > 0o377:
                raise self.error(f"octal escape value {self.pattern[start : self.at]} outside of range 0-0o377", start)
            return value
        if letter.isascii() and letter.isalpha():
            hint = '; Unicode properties need flavor="ecma"' if letter in "pP" else ""
            raise self.error(f"bad escape \\{letter}{hint}", start)
        return ord(letter)

    def named_character(self, start: int) -> int:
        if not self.take("{"):
            raise self.error("missing {")
        name = self.until("}", "character name")
        try:
            return ord(unicodedata.lookup(name))
        except (KeyError, TypeError):  # a TypeError: the name of a sequence of characters
            raise self.error(f"undefined character name {name!r}", start) from None


def _unwrapped(node: Node) -> Node:
    while isinstance(node, Group):
        node = node.body
    return node


def _one_way(node: Node) -> bool:
    """Whether the node matches any given place in at most one way."""
    node = _unwrapped(node)
    if isinstance(node, Cat):
        return all(map(_one_way, node.parts))
    if isinstance(node, Repeat):
        return node.least == node.most and _one_way(node.body)
    return isinstance(node, Chars) or is_assertion(node) or node == EMPTY_TEXT
