"""The syntax of ECMA-262 patterns under the `u` flag (what JSON Schema's `pattern` means), ES2018 to ES2024."""

from __future__ import annotations

import re

from dgemma_constrain.automata.charset import EMPTY, Charset
from dgemma_constrain.constraints.regex.characters import (
    ECMA_LINE_BREAKS,
    ignoring_case,
    shorthand,
    single,
    unicode_property,
)  # fmt: skip
from dgemma_constrain.constraints.regex.reader import HEX_DIGITS, Reader
from dgemma_constrain.constraints.regex.syntax import (
    TEXT_END,
    TEXT_START,
    Boundary,
    Chars,
    Group,
    Look,
    Node,
    cat,
    repeat,
)  # fmt: skip

_SYNTAX = "^$\\.*+?()[]{}|"
_CONTROL = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_NAME_START = ("ID_Start", "$_")
_NAME_PART = ("ID_Continue", "$\u200c\u200d")


class EcmaReader(Reader):
    flavor = "ecma"

    def __init__(self, pattern: str, ignore_case: bool = False):
        super().__init__(pattern)
        self.ignore_case = ignore_case

    def prologue(self) -> frozenset[str]:
        return frozenset()

    # Sequences ------------------------------------------------------------------------------------------------------

    def alternative(self, flags: frozenset[str]) -> Node:
        items: list[Node] = []
        while self.at < len(self.pattern) and self.next() not in "|)":
            start = self.at
            item = self.assertion()
            if item is None:
                item = self.atom()
                bounds = self.quantifier()
                if bounds is not None:
                    item = repeat(item, *bounds, lazy=self.take("?"))
            items.append(item)
            if self.repeats():
                raise self.error("nothing to repeat")
            assert self.at > start
        return cat(items)

    def repeats(self) -> bool:
        """Whether a quantifier comes next."""
        return self.next() != "" and self.next() in "*+?{"

    def assertion(self) -> Node | None:
        """An anchor or a look-around; no quantifier may follow it."""
        start = self.at
        if self.take("^"):
            return TEXT_START
        if self.take("$"):
            return TEXT_END
        for sign in "\\b", "\\B":
            if self.take(sign):
                return Boundary(self.class_set(EMPTY, shorthand("w", "ecma"), frozenset()), sign == "\\B")
        for sign in "(?=", "(?!", "(?<=", "(?<!":
            if self.take(sign):
                return Look(self.closed(frozenset(), start), ahead="<" not in sign, negative=sign[-1] == "!")
        return None

    def quantifier(self) -> tuple[int, int | None] | None:
        start = self.at
        for sign, bounds in ("?", (0, 1)), ("*", (0, None)), ("+", (1, None)):
            if self.take(sign):
                return bounds
        if not self.take("{"):
            return None
        least = self.take_decimal()
        most = self.take_decimal() if self.take(",") else least
        if not least or not self.take("}"):
            raise self.error('incomplete quantifier; a plain "{" is written "\\{"', start)
        if max(len(least.lstrip("0")), len(most.lstrip("0"))) > 4000:
            raise self.error("the repetition number is too large", start)
        if most and int(most) < int(least):
            raise self.error("numbers out of order in quantifier", start)
        return int(least), int(most) if most else None

    # Atoms ----------------------------------------------------------------------------------------------------------

    def atom(self) -> Node:
        start = self.at
        character = self.next()
        self.at += 1
        if character == "(":
            return self.group(start)
        if character == "[":
            return Chars(self.char_class(frozenset(), start))
        if character == ".":
            return Chars(~ECMA_LINE_BREAKS)
        if character == "\\":
            return self.escape(start)
        if character in "*+?":
            raise self.error("nothing to repeat", start)
        if character in "{}]":
            raise self.error(f'a plain "{character}" is written "\\{character}"', start)
        return self.literal(ord(character))

    def literal(self, point: int) -> Node:
        return Chars(self.class_set(single(chr(point)), EMPTY, frozenset()))

    def class_set(self, characters: Charset, sets: Charset, flags: frozenset[str]) -> Charset:
        members = characters | sets if sets else characters
        return ignoring_case(members, "ecma") if self.ignore_case else members

    def group(self, opened: int) -> Node:
        if not self.take("?"):
            return self.capture(None, opened)
        if self.take(":"):
            return self.closed(frozenset(), opened)
        if not self.take("<"):
            raise self.error('unknown group; flags inside a pattern are not supported in flavor "ecma"', opened)
        return self.capture(self.group_name(opened), opened)

    def capture(self, name: str | None, opened: int) -> Node:
        number = self.new_group(name, opened)
        return Group(self.closed(frozenset(), opened), number, name)

    def group_name(self, opened: int) -> str:
        name = ""
        while not self.take(">"):
            start = self.at
            character = self.next()
            self.at += 1
            if character == "\\" and self.take("u"):
                character = chr(self.code_unit(start))
            kind, more = _NAME_PART if name else _NAME_START
            if not character or not (character in more or character in unicode_property(kind)):
                raise self.error("bad character in group name" if character else "missing >", start)
            name += character
        if not name:
            raise self.error("missing group name", opened)
        return name

    # Escapes --------------------------------------------------------------------------------------------------------

    def escape(self, start: int) -> Node:
        """Outside a class, the cursor behind the backslash."""
        if self.next() and self.next() in "123456789k":
            raise self.irregular("a back-reference", start)
        item = self.escaped(start)
        if isinstance(item, Charset):
            return Chars(self.class_set(EMPTY, item, frozenset()))
        return self.literal(item)

    def class_item(self, flags: frozenset[str], opened: int) -> int | Charset:
        start = self.at
        if start == len(self.pattern):
            raise self.error("unterminated character class", opened)
        self.at += 1
        if self.pattern[start] != "\\":
            return ord(self.pattern[start])
        for sign, point in ("b", 8), ("-", 0x2D):
            if self.take(sign):
                return point
        return self.escaped(start)

    def escaped(self, start: int) -> int | Charset:
        """What a backslash at `start` means, inside a class or out: a code point or a set."""
        letter = self.next()
        self.at += 1
        if not letter:
            raise self.error("a backslash at the end of the pattern", start)
        if letter in "dDwWsS":
            # Under ignore_case \w has two more members (ſ and K), and \W two fewer.
            word = self.class_set(EMPTY, shorthand(letter.lower(), "ecma"), frozenset())
            return ~word if letter.isupper() else word
        if letter in "pP":
            members = self.property(start)
            return ~members if letter == "P" else members
        if letter in _CONTROL:
            return _CONTROL[letter]
        if letter == "c":
            control = self.next()
            self.at += 1
            if not (control.isascii() and control.isalpha()):
                raise self.error("\\c needs a letter from A to Z", start)
            return ord(control) % 32
        if letter == "0" and not (self.next() and self.next() in "0123456789"):
            return 0
        if letter == "x":
            digits = self.take_while(HEX_DIGITS, 2)
            if len(digits) < 2:
                raise self.error("\\x needs two hexadecimal digits", start)
            return int(digits, 16)
        if letter == "u":
            return self.code_unit(start)
        if letter in _SYNTAX + "/":
            return ord(letter)
        hint = "" if letter.isalnum() else f'; a plain "{letter}" needs no backslash under the u flag'
        raise self.error(f"bad escape \\{letter}{hint}", start)

    def code_unit(self, start: int) -> int:
        """`\\uHHHH`, a surrogate pair of two of them, or `\\u{H…}`; the cursor behind the "u"."""
        if self.take("{"):
            digits = self.take_while(HEX_DIGITS)
            if not digits or not self.take("}") or len(digits.lstrip("0")) > 6 or int(digits, 16) > 0x10FFFF:
                raise self.error("\\u{…} needs a code point up to 10FFFF", start)
            return int(digits, 16)
        first = self.four_digits(start)
        after = self.at
        if 0xD800 <= first < 0xDC00 and self.take("\\u"):
            low = self.take_while(HEX_DIGITS, 4)
            if len(low) == 4 and 0xDC00 <= int(low, 16) < 0xE000:
                return 0x10000 + (first - 0xD800) * 0x400 + int(low, 16) - 0xDC00
            self.at = after
        return first

    def four_digits(self, start: int) -> int:
        digits = self.take_while(HEX_DIGITS, 4)
        if len(digits) < 4:
            raise self.error("\\u needs four hexadecimal digits, or some in braces", start)
        return int(digits, 16)

    def property(self, start: int) -> Charset:
        end = self.pattern.find("}", self.at)
        if not self.take("{") or end < 0:
            raise self.error("\\p needs a property in braces", start)
        name, equals, value = self.pattern[self.at : end].partition("=")
        members = unicode_property(name, value if equals else None)
        if members is None:
            raise self.error(f"no such Unicode property: {self.pattern[self.at : end]!r}", start)
        self.at = end + 1
        return members


class LegacyReader(EcmaReader):
    """What ECMA-262 without the `u` flag reads besides (its Annex B.1.2), for patterns that are an error under it: a
    backslash before what needs none, braces and a "]" that are plain characters, and `[\\w-_]`.

    Two things are not as in Annex B, which would read a pattern as what surely nobody meant by it: the text is code points,
    not UTF-16 units, with `\\u{…}` and `\\p{…}` as under `u`; and a backslash before a letter or digit that means nothing
    here (`\\A`, `\\Z`) remains an error.
    """

    sets_bound_ranges = True

    def quantifier(self) -> tuple[int, int | None] | None:
        if self.next() == "{" and not _BOUNDS.match(self.pattern, self.at):
            return None
        return super().quantifier()

    def repeats(self) -> bool:
        return self.next() != "" and (self.next() in "*+?" or bool(_BOUNDS.match(self.pattern, self.at)))

    def atom(self) -> Node:
        if self.next() and self.next() in "{}]" and not self.repeats():
            self.at += 1
            return self.literal(ord(self.pattern[self.at - 1]))
        return super().atom()

    def escaped(self, start: int) -> int | Charset:
        letter = self.next()
        if letter and not letter.isalnum():
            self.at += 1
            return ord(letter)
        return super().escaped(start)


_BOUNDS = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")
