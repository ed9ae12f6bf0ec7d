"""What the two flavours share: a cursor that knows where it is, alternation, group numbers, the shape of a class."""

from __future__ import annotations

from dgemma_constrain.automata.charset import EMPTY, Charset
from dgemma_constrain.constraints.regex.syntax import Node, alt
from dgemma_constrain.errors import RegexError

MAX_LENGTH = 1_000_000  # characters in a pattern
MAX_NESTING = 100  # parentheses in parentheses; all passes over the tree recurse, so this bounds Python's stack
HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


class Reader:
    """Recursive descent, one character of lookahead. A flavour adds `alternative`, `class_item` and `class_set`."""

    flavor: str
    bracket_opens_class = False  # whether a "]" right after "[" or "[^" is a member
    sets_bound_ranges = False  # whether the hyphen of `\w-z` is a member, and no error

    def __init__(self, pattern: str):
        self.pattern, self.at = pattern, 0
        self.depth = 0
        self.group_count = 0
        self.group_names: dict[str, int] = {}
        if len(pattern) > MAX_LENGTH:
            raise RegexError(f"a pattern may have {MAX_LENGTH:,} characters, this one has {len(pattern):,}")

    def error(self, message: str, position: int | None = None) -> RegexError:
        return RegexError(message, self.pattern, self.at if position is None else position)

    def irregular(self, what: str, position: int) -> RegexError:
        return self.error(f"{what} cannot be part of a constraint: it is not regular", position)

    # The cursor ---------------------------------------------------------------------------------------------------

    def next(self) -> str:
        """The character at the cursor, "" at the end."""
        return self.pattern[self.at : self.at + 1]

    def take(self, text: str) -> bool:
        """Step over `text` if it comes next."""
        found = self.pattern.startswith(text, self.at)
        self.at += len(text) * found
        return found

    def take_while(self, allowed: frozenset[str] | str, most: int | None = None) -> str:
        start = self.at
        stop = len(self.pattern) if most is None else min(len(self.pattern), start + most)
        while self.at < stop and self.pattern[self.at] in allowed:
            self.at += 1
        return self.pattern[start : self.at]

    def take_decimal(self) -> str:
        return self.take_while("0123456789")

    # Structure ----------------------------------------------------------------------------------------------------

    def read(self) -> Node:
        """The whole pattern."""
        root = self.disjunction(self.prologue())
        if self.at < len(self.pattern):
            raise self.error("unbalanced parenthesis")
        return root

    def prologue(self) -> frozenset[str]:
        """The flags that hold everywhere."""
        raise NotImplementedError

    def disjunction(self, flags: frozenset[str]) -> Node:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.error(f"more than {MAX_NESTING} parentheses inside each other")
        parts = [self.alternative(flags)]
        while self.take("|"):
            parts.append(self.alternative(flags))
        self.depth -= 1
        return alt(parts)

    def alternative(self, flags: frozenset[str]) -> Node:
        """A sequence, up to "|", ")" or the end."""
        raise NotImplementedError

    def closed(self, flags: frozenset[str], opened: int) -> Node:
        """What stands in a parenthesis that opened at `opened`, and its end."""
        body = self.disjunction(flags)
        if not self.take(")"):
            raise self.error("missing ), unterminated subpattern", opened)
        return body

    def new_group(self, name: str | None, position: int) -> int:
        self.group_count += 1
        if name is not None:
            if name in self.group_names:
                raise self.error(f"a second group named {name!r}", position)
            self.group_names[name] = self.group_count
        return self.group_count

    # Classes --------------------------------------------------------------------------------------------------------

    def char_class(self, flags: frozenset[str], opened: int) -> Charset:
        """A class, the cursor behind its "["."""
        negated = self.take("^")
        pairs: list[tuple[int, int]] = []
        sets = EMPTY
        first = self.bracket_opens_class
        while first or not self.take("]"):
            first = False
            start = self.at
            low = high = self.class_item(flags, opened)
            items = [low]
            if self.take("-"):
                if self.next() == "]":
                    items.append(ord("-"))
                else:
                    high = self.class_item(flags, opened)
                    of_sets = isinstance(low, Charset) or isinstance(high, Charset)
                    if of_sets and self.sets_bound_ranges:
                        items += [ord("-"), high]
                    elif of_sets or high < low:
                        raise self.error(f"bad character range {self.pattern[start : self.at]}", start)
                    else:
                        pairs.append((low, high))
            for item in items:
                if isinstance(item, Charset):
                    sets |= item
                else:
                    pairs.append((item, item))
        members = self.class_set(Charset.ranges(pairs), sets, flags)
        return ~members if negated else members

    def class_item(self, flags: frozenset[str], opened: int) -> int | Charset:
        """A code point, or the set of an escape such as `\\d`."""
        raise NotImplementedError

    def class_set(self, characters: Charset, sets: Charset, flags: frozenset[str]) -> Charset:
        """All members, given those that are spelled out and those that came as sets: where letter case comes in."""
        raise NotImplementedError
