"""A grammar as plain data: numbered terminals and nonterminals, and rules in Backus-Naur form.

A *symbol* is one number: k ≥ 0 is terminal k, and ~n (that is, -1 - n) is nonterminal n.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.constraints.grammar.own_match import own_texts
from dgemma_constrain.constraints.regex import Pattern, parse
from dgemma_constrain.constraints.remembering import Remembering


@dataclass(frozen=True)
class Terminal(Remembering):
    """A named set of non-empty texts.

    pattern: the text itself if `literal`, otherwise a regular expression in Python's syntax
    flags: flags of `re` as letters, which hold for the whole pattern
    """

    name: str
    pattern: str
    flags: str = ""
    literal: bool = False
    priority: int = 0

    def parsed(self) -> Pattern:
        """The pattern, flags included. Raises RegexError."""
        body = re.escape(self.pattern) if self.literal else self.pattern
        return parse(f"(?{self.flags}:{body})" if self.flags else body)

    def dfa(self, limits: Limits = Limits()) -> DFA:
        """The texts that it can be found to match (see `own_match`)."""
        if "_dfa" not in self.__dict__:
            self.__dict__["_dfa"] = own_texts(self.parsed().root, limits)
        return self.__dict__["_dfa"]

    def __str__(self) -> str:
        """As users know it: the text of a literal, the name they gave, or the pattern where they gave none."""
        if self.literal:
            return repr(self.pattern)
        return f"/{self.pattern}/" if self.name.startswith("__") else self.name


class Rule(NamedTuple):
    """head → body: a nonterminal's number, and symbols."""

    head: int
    body: tuple[int, ...]


@dataclass(frozen=True)
class Grammar(Remembering):
    """A context-free grammar.

    terminals  in order of precedence: where two of equal priority match the same text, the first is meant
    nonterminals  names; helpers that the notation brought in have names no user can write
    rules  without doubles
    ignore  terminals that may stand before, between and after all others, and count for nothing
    start  a nonterminal
    scannerless  there is no lexer: a sentence's terminals are joined, and every way to cut a text counts. All
        terminals are then literals or single characters.
    """

    terminals: tuple[Terminal, ...]
    nonterminals: tuple[str, ...]
    rules: tuple[Rule, ...]
    ignore: tuple[int, ...]
    start: int
    scannerless: bool = False
