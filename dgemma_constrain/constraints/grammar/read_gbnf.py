"""llama.cpp's grammar notation, GBNF, after its grammars/README.md and the parser in src/llama-grammar.cpp.

    root  ::= "[" (item ("," ws item)*)? "]"     # literals, groups, alternatives, * + ? {m} {m,} {m,n}
    item  ::= [a-z_] [^\\x00-\\x1F"]{0,9} | .      # classes of characters, and any character

A rule ends with its line, except inside parentheses, after `::=` and after `|`. There is no lexer: a text is in the
grammar however it may be cut. Where llama.cpp takes what can only be a slip (a rule defined twice: the last one counts;
an empty class: no character at all; an upper bound over 2,000: none), this is an error here. `<tokens>` are one too:
constraints know no tokenizer.
"""

from __future__ import annotations

import re
import warnings
from typing import Iterable

from dgemma_constrain.constraints.grammar.check import Source, check, some
from dgemma_constrain.constraints.grammar.rules import Grammar, Rule, Terminal
from dgemma_constrain.errors import GrammarError, GrammarWarning

MAX_REPEAT = 10_000
MAX_NESTING = 200  # parentheses inside each other
_BLANK = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_BLANK_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_NUMBER = re.compile(r"[0-9]+")
_LINE_END = re.compile(r"\r\n?|\n|\Z")
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\", '"': '"', "[": "[", "]": "]", "-": "-"}
_HEX_LENGTH = {"x": 2, "u": 4, "U": 8}


def read_gbnf(text: str, start: str = "root", file: str | None = None) -> Grammar:
    """The grammar in a text, which came from `file` if from any. Raises GrammarError, with the place."""
    return _Reader(text, file).grammar(start)


class _Reader(Source):
    """Recursive descent, one character of lookahead. What stands for a sequence or choice is a list of symbols."""

    def __init__(self, text: str, file: str | None):
        super().__init__(text, file)
        self.at = self.depth = 0
        self.terminals: dict[Terminal, int] = {}
        self.nonterminals: dict[str, int] = {}
        self.places: dict[str, int] = {}  # where a rule is defined, or used first
        self.defined: set[str] = set()
        self.rules: list[Rule] = []

    def error(self, message: str, *names: str) -> GrammarError:
        """An error where the first name that is known stands; at the cursor if none is given."""
        position = next((self.places[name] for name in names if name in self.places), None)
        if names and position is None:
            return GrammarError(message, file=self.file)
        return self.error_at(message, self.at if position is None else position)

    # The cursor ------------------------------------------------------------------------------------------------------

    def next(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, pattern: re.Pattern) -> str:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return match[0] if match else ""

    def skip(self, lines: bool) -> None:
        self.take(_BLANK_LINES if lines else _BLANK)

    def expect(self, sign: str) -> None:
        if not self.text.startswith(sign, self.at):
            raise self.error(f"expected {sign!r}, found {_found(self.text, self.at)}")
        self.at += len(sign)

    # Rules -----------------------------------------------------------------------------------------------------------

    def grammar(self, start: str) -> Grammar:
        self.skip(lines=True)
        while self.next():
            self.rule()
        for name, position in self.places.items():
            if name not in self.defined:
                raise self.error_at(f"rule {name!r} is used but not defined", position)
        if start not in self.defined:
            raise self.error(f"there is no rule {start!r} to start from; pass start=…", start)
        made = Grammar(
            terminals=tuple(self.terminals),
            nonterminals=tuple(self.nonterminals),
            rules=tuple(dict.fromkeys(self.rules)),
            ignore=(),
            start=self.nonterminals[start],
            scannerless=True,
        )
        made = _reachable(made)
        idle = sorted(self.defined.difference(made.nonterminals), key=self.places.__getitem__)
        if idle:
            warnings.warn(f"{start!r} leads to no use of {some(idle)}", GrammarWarning, stacklevel=2)
        check(made, self.error)
        return made

    def rule(self) -> None:
        position = self.at
        name = self.take(_NAME)
        if not name:
            raise self.error(f"expected the name of a rule, found {_found(self.text, position)}")
        if name in self.defined:
            raise self.error_at(f"a second rule named {name!r}", position)
        self.skip(lines=False)
        self.expect("::=")
        self.skip(lines=True)
        self.places[name] = position
        self.defined.add(name)
        self.alternatives(self.nonterminal(name), name, nested=False)
        if not _LINE_END.match(self.text, self.at):
            raise self.error(f"expected the end of the line, found {_found(self.text, self.at)}")
        self.skip(lines=True)

    def nonterminal(self, name: str) -> int:
        return self.nonterminals.setdefault(name, len(self.nonterminals))

    def helper(self, rule: str, bodies: Iterable[tuple[int, ...]]) -> int:
        """The symbol of a new nonterminal with these rules."""
        n = self.nonterminal(f"__{rule}_{len(self.nonterminals)}")
        self.rules.extend(Rule(n, body) for body in bodies)
        return ~n

    def alternatives(self, head: int, rule: str, nested: bool) -> None:
        self.rules.append(Rule(head, self.sequence(rule, nested)))
        while self.next() == "|":
            self.at += 1
            self.skip(lines=True)
            self.rules.append(Rule(head, self.sequence(rule, nested)))

    def sequence(self, rule: str, nested: bool) -> tuple[int, ...]:
        symbols: list[int] = []
        last = 0  # where the item begins in `symbols` that a quantifier would be about
        while True:
            sign, position = self.next(), self.at
            if sign and sign in "*+?{":
                if last == len(symbols):
                    raise self.error(f"nothing to repeat before {sign!r}")
                bounds = self.quantifier(nested)
                symbols[last:] = self.repeated(tuple(symbols[last:]), *bounds, rule, position)
            else:
                item = self.item(sign, rule)
                if item is None:
                    return tuple(symbols)
                last = len(symbols)
                symbols.extend(item)
            self.skip(nested)

    def item(self, sign: str, rule: str) -> tuple[int, ...] | None:
        if sign == '"':
            text = self.literal()
            return (self.terminal(Terminal(f'"{text}"', text, literal=True)),) if text else ()
        if sign == "[":
            return (self.terminal(self.character_class()),)
        if sign == ".":
            self.at += 1
            return (self.terminal(Terminal(".", ".", "s")),)
        if sign == "(":
            return (self.group(rule),)
        if sign and sign in "<!":
            raise self.error("a constraint knows no tokens: write the text instead of <token>")
        position, name = self.at, self.take(_NAME)
        if not name:
            return None
        self.places.setdefault(name, position)
        return (~self.nonterminal(name),)

    def group(self, rule: str) -> int:
        opened = self.at
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.error(f"more than {MAX_NESTING} parentheses inside each other; name parts of this rule")
        self.at += 1
        self.skip(lines=True)
        symbol = self.helper(rule, ())
        self.alternatives(~symbol, rule, nested=True)
        if self.next() != ")":
            unclosed = not self.next()
            raise (
                self.error_at("this parenthesis is never closed", opened)
                if unclosed
                else self.error(f"expected ')', found {_found(self.text, self.at)}")
            )
        self.at += 1
        self.depth -= 1
        return symbol

    # Repetition ------------------------------------------------------------------------------------------------------

    def quantifier(self, nested: bool) -> tuple[int, int | None]:
        sign = self.next()
        self.at += 1
        if sign != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        self.skip(nested)
        start = self.at
        least = self.number()
        most: int | None = least
        self.skip(nested)
        if self.next() == ",":
            self.at += 1
            self.skip(nested)
            most = self.number() if self.next().isdigit() else None
            self.skip(nested)
        self.expect("}")
        if most is not None and most < least:
            raise self.error_at(
                f"the bounds {{{least},{most}}} leave no choice: the upper one is below the lower", start
            )
        return least, most

    def number(self) -> int:
        position = self.at
        digits = self.take(_NUMBER)
        if not digits:
            raise self.error(f"expected a number, found {_found(self.text, position)}")
        if len(digits) > 9 or int(digits) > MAX_REPEAT:
            raise self.error_at(f"a bound may go up to {MAX_REPEAT:,}", position)
        return int(digits)

    def repeated(self, item: tuple[int, ...], least: int, most: int | None, rule: str, position: int) -> list[int]:
        if (least, most) == (1, 1):
            return list(item)
        if len(item) > 1:
            item = (self.helper(rule, [item]),)
        if most is None:
            n = self.nonterminal(f"__{rule}_{len(self.nonterminals)}")
            first = [item * least] if least else [()]
            self.rules.extend(Rule(n, body) for body in (*first, (~n, *item)))
            return [~n]
        rest: tuple[int, ...] = ()
        for _ in range(most - least):
            rest = (self.helper(rule, [(), item + rest]),)
        return [*item * least, *rest]

    # Terminals -------------------------------------------------------------------------------------------------------

    def terminal(self, terminal: Terminal) -> int:
        return self.terminals.setdefault(terminal, len(self.terminals))

    def literal(self) -> str:
        opened = self.at
        self.at += 1
        characters = []
        while self.next() != '"':
            characters.append(chr(self.character(opened)))
        self.at += 1
        return "".join(characters)

    def character_class(self) -> Terminal:
        opened = self.at
        self.at += 1
        negated = self.next() == "^"
        self.at += negated
        ranges = []
        while self.next() != "]":
            start = self.at
            low = high = self.character(opened)
            if self.next() == "-" and self.text[self.at + 1 : self.at + 2] != "]":
                self.at += 1
                high = self.character(opened)
                if high < low:
                    raise self.error_at(f"the range {self.text[start : self.at]} runs backwards", start)
            ranges.append(f"\\U{low:08x}-\\U{high:08x}")
        self.at += 1
        if not ranges:
            raise self.error_at("an empty class of characters; for any character write .", opened)
        return Terminal(self.text[opened : self.at], f"[{'^' * negated}{''.join(ranges)}]")

    def character(self, opened: int) -> int:
        """One character of a literal or class that began at `opened`, escaped or not."""
        position, sign = self.at, self.next()
        self.at += 1
        if not sign:
            raise self.error_at("this literal or class is never closed", opened)
        if sign != "\\":
            return ord(sign)
        letter = self.next()
        self.at += 1
        if letter in _HEX_LENGTH:
            digits = self.text[self.at : self.at + _HEX_LENGTH[letter]]
            self.at += len(digits)
            if not re.fullmatch(f"[0-9a-fA-F]{{{_HEX_LENGTH[letter]}}}", digits) or int(digits, 16) > 0x10FFFF:
                raise self.error_at(f"{self.text[position : self.at]!r} is no character", position)
            return int(digits, 16)
        if not letter or letter not in _ESCAPES:
            raise self.error_at(f"unknown escape {self.text[position : self.at]!r}", position)
        return ord(_ESCAPES[letter])


def _found(text: str, position: int) -> str:
    return repr(text[position]) if position < len(text) else "the end"


def _reachable(grammar: Grammar) -> Grammar:
    """Without the rules and terminals that the start does not lead to."""
    bodies: dict[int, list[Rule]] = {}
    for rule in grammar.rules:
        bodies.setdefault(rule.head, []).append(rule)
    symbols = {~grammar.start: 0}
    waiting = [grammar.start]
    while waiting:
        for rule in bodies.get(waiting.pop(), ()):
            for symbol in rule.body:
                if symbol not in symbols:
                    symbols[symbol] = len(symbols)
                    waiting.extend([~symbol] * (symbol < 0))
    terminals = sorted(s for s in symbols if s >= 0)
    nonterminals = sorted(~s for s in symbols if s < 0)
    new = {k: i for i, k in enumerate(terminals)} | {~n: ~i for i, n in enumerate(nonterminals)}
    return Grammar(
        terminals=tuple(grammar.terminals[k] for k in terminals),
        nonterminals=tuple(grammar.nonterminals[n] for n in nonterminals),
        rules=tuple(
            Rule(~new[~rule.head], tuple(new[s] for s in rule.body)) for rule in grammar.rules if ~rule.head in new
        ),
        ignore=(),
        start=~new[~grammar.start],
        scannerless=True,
    )
