"""Whether a text is in a grammar, and where it goes wrong first: Earley's algorithm over the terminals of the text.

An Earley set says which rules may be under way at a place, how far, and since where: items (rule, dot, origin). Its
terminals after a dot are exactly those that continue some sentence, which is what the lexer asks for. Rules that
derive the empty text are stepped over when they are predicted (Aycock and Horspool, "Practical Earley parsing", 2002).
Without a lexer the terminals are the characters.

What prediction adds depends on the predicted nonterminals only, so it is made once for each set of them and shared by
all places; a set of its own holds only what came from the left.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Iterable

import numpy as np

from dgemma_constrain.automata.alphabet import members
from dgemma_constrain.automata.charset import EMPTY, describe
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.lr_tables import derivable
from dgemma_constrain.constraints.base import Mismatch
from dgemma_constrain.constraints.grammar.lexer import Lexer, Scanner
from dgemma_constrain.constraints.grammar.rules import Grammar, Rule

_END = 1 << 40  # in the place of a symbol: the dot is behind the last one


def matches(grammar: Grammar, text: str) -> bool:
    """Whether the whole text is a sentence of the grammar."""
    return first_mismatch(grammar, text) is None


def first_mismatch(grammar: Grammar, text: str) -> Mismatch | None:
    """None for a sentence; otherwise the first place where no sentence goes on like this, and what could follow."""
    if "_recogniser" not in grammar.__dict__:
        grammar.__dict__["_recogniser"] = (_Characters if grammar.scannerless else _Tokens)(grammar)
    return grammar.__dict__["_recogniser"].first_mismatch(text)


@dataclass(frozen=True)
class _Predicted:
    """Items that begin at a place: by what they wait for, a nonterminal or a terminal."""

    waiting: dict[int, list[int]]
    scanning: dict[int, list[int]]


@dataclass(frozen=True)
class _Set:
    """An Earley set: the items from the left, numbered origin · items + item, and the predicted ones."""

    waiting: dict[int, list[int]]
    scanning: dict[int, list[int]]
    predicted: _Predicted
    complete: bool  # a sentence may end here

    @property
    def terminals(self) -> frozenset[int]:
        return frozenset((*self.scanning, *self.predicted.scanning))


class _Earley:
    """The sets of a grammar, one after the other. An item is a number; the item after the next symbol is the next."""

    def __init__(self, rules: Iterable[Rule], start: int, nonterminals: int):
        self.start = start
        self.after: list[int] = []
        self.head: list[int] = []
        self.first: list[list[int]] = [[] for _ in range(nonterminals)]
        rules = list(rules)
        for rule in rules:
            self.first[rule.head].append(len(self.after))
            self.after += [*rule.body, _END]
            self.head += [rule.head] * (len(rule.body) + 1)
        self.items = len(self.after)
        self.nullable = derivable(rules, lambda terminal: False)
        self._predictions: dict[frozenset[int], _Predicted] = {}

    def initial(self) -> _Set:
        return _Set({}, {}, self.predict(frozenset([self.start])), self.start in self.nullable)

    def predict(self, wanted: frozenset[int]) -> _Predicted:
        if wanted not in self._predictions:
            waiting, scanning = defaultdict(list), defaultdict(list)
            seen = set(wanted)
            agenda = list(wanted)
            while agenda:
                for item in self.first[agenda.pop()]:
                    symbol = self.after[item]
                    while symbol < 0:
                        waiting[~symbol].append(item)
                        if ~symbol not in seen:
                            seen.add(~symbol)
                            agenda.append(~symbol)
                        if ~symbol not in self.nullable:
                            break
                        item += 1
                        symbol = self.after[item]
                    else:
                        if symbol != _END:
                            scanning[symbol].append(item)
            self._predictions[wanted] = _Predicted(dict(waiting), dict(scanning))
        return self._predictions[wanted]

    def advance(self, sets: list[_Set], terminals: Iterable[int]) -> _Set | None:
        """The set after one of these terminals follows the last one of `sets`; None if it cannot."""
        here, now = sets[-1], (len(sets) - 1) * self.items
        agenda = []
        for terminal in terminals:
            agenda += [item + 1 for item in here.scanning.get(terminal, ())]
            agenda += [now + item + 1 for item in here.predicted.scanning.get(terminal, ())]
        if not agenda:
            return None
        seen = set(agenda)
        waiting: dict[int, list[int]] = {}
        scanning: dict[int, list[int]] = {}
        complete = False
        while agenda:
            numbered = agenda.pop()
            origin, item = divmod(numbered, self.items)
            symbol = self.after[item]
            if symbol == _END:
                n = self.head[item]
                complete |= n == self.start and origin == 0
                shift = origin * self.items + 1
                more = [i + 1 for i in sets[origin].waiting.get(n, ())]
                more += [shift + i for i in sets[origin].predicted.waiting.get(n, ())]
            elif symbol >= 0:
                scanning.setdefault(symbol, []).append(numbered)
                continue
            else:
                waiting.setdefault(~symbol, []).append(numbered)
                more = [numbered + 1] if ~symbol in self.nullable else []
            for new in more:
                if new not in seen:
                    seen.add(new)
                    agenda.append(new)
        return _Set(waiting, scanning, self.predict(frozenset(waiting)), complete)


class _Tokens:
    """A grammar with a lexer."""

    def __init__(self, grammar: Grammar):
        self.grammar = grammar
        self.lexer = Lexer(grammar)
        self.ignored = frozenset(grammar.ignore)
        self.earley = _Earley(grammar.rules, grammar.start, len(grammar.nonterminals))

    def first_mismatch(self, text: str) -> Mismatch | None:
        classes = self.lexer.classes(text)
        sets = [self.earley.initial()]
        scanner = self.lexer.of(sets[-1].terminals | self.ignored)
        at = furthest = 0  # how far some scanner could read
        inside: tuple[Scanner, int] | None = None  # and its state there
        while at < len(text):
            winner, end, read, state = scanner.next(classes, at)
            if read > furthest:
                furthest, inside = read, (scanner, state)
            if winner < 0:
                break
            at = end
            if winner not in self.ignored:
                sets.append(self.earley.advance(sets, (winner,)))
                scanner = self.lexer.of(sets[-1].terminals | self.ignored)
        else:
            if sets[-1].complete:
                return None
        if furthest > at and inside is not None:
            scanner, state = inside
            row = scanner.symbols[scanner.offsets[state] : scanner.offsets[state + 1]]
            return _mismatch(text, furthest, [describe(self.lexer.alphabet.charset(row))])
        names = [str(self.grammar.terminals[k]) for k in sorted(sets[-1].terminals)]
        return _mismatch(text, at, names + ["end of text"] * sets[-1].complete)


class _Characters:
    """A grammar without one: each character that a rule spells is a terminal."""

    def __init__(self, grammar: Grammar, limits: Limits = Limits()):
        lexer = Lexer(grammar, limits)  # for its alphabet
        self.alphabet, self.classes = lexer.alphabet, lexer.classes
        self.charsets = []
        numbers = {}
        spelled = []
        for terminal in grammar.terminals:
            dfa = terminal.dfa(limits)
            steps = [dfa.next_characters(s) for s in range(dfa.states - 1)]
            for charset in steps:
                if numbers.setdefault(charset, len(numbers)) == len(self.charsets):
                    self.charsets.append(charset)
            spelled.append(tuple(numbers[charset] for charset in steps))
        rules = [
            Rule(rule.head, tuple(t for s in rule.body for t in (spelled[s] if s >= 0 else (s,))))
            for rule in grammar.rules
        ]
        self.earley = _Earley(rules, grammar.start, len(grammar.nonterminals))
        offsets, row = members(self.alphabet, self.charsets)
        self.holding: list[list[int]] = [[] for _ in range(self.alphabet.size)]  # by class: the charsets it is in
        for number, c in zip(np.repeat(np.arange(len(self.charsets)), np.diff(offsets)).tolist(), row.tolist()):
            self.holding[c].append(number)

    def first_mismatch(self, text: str) -> Mismatch | None:
        sets = [self.earley.initial()]
        for at, c in enumerate(self.classes(text).tolist()):
            after = self.earley.advance(sets, self.holding[c]) if c >= 0 else None
            if after is None:
                return self._mismatch(text, at, sets[-1])
            sets.append(after)
        return None if sets[-1].complete else self._mismatch(text, len(text), sets[-1])

    def _mismatch(self, text: str, at: int, here: _Set) -> Mismatch:
        following = EMPTY
        for number in here.terminals:
            following |= self.charsets[number]
        return _mismatch(text, at, [describe(following)] * bool(following) + ["end of text"] * here.complete)


def _mismatch(text: str, position: int, expected: list[str], limit: int = 12) -> Mismatch:
    found = repr(text[position]) if position < len(text) else "end of text"
    shown = expected if len(expected) <= limit else [*expected[:limit], "…"]
    return Mismatch(position, found, " or ".join(shown))
