"""Texts to try grammars on: sentences by chance, and sentences with a few characters changed.

`Sentences` goes by the grammar as we read it, `BundledTexts` by Lark's own reading of one that ships.
"""

import io
import json
import logging
import random
import re
from functools import cache
from re import _constants as op
from re import _parser as regex_parser

import lark

from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.automata.kernels import distances, reversed_rows
from dgemma_constrain.constraints.grammar import bundled
from dgemma_constrain.constraints.grammar.rules import Grammar, Rule

COMMON = " ab1\"\\.,()[]{}:+-*/=<>'\n_x"


class Sentences:
    """Random derivations: free up to a depth, then the shortest there are, so every one ends."""

    def __init__(self, grammar: Grammar, seed: int):
        self.grammar, self.random = grammar, random.Random(seed)
        self.rules: dict[int, list[Rule]] = {}
        for rule in grammar.rules:
            self.rules.setdefault(rule.head, []).append(rule)
        self.height = {}  # of the lowest tree of each nonterminal
        changed = True
        while changed:
            changed = False
            for rule in grammar.rules:
                height = self._height(rule)
                if height < self.height.get(rule.head, float("inf")):
                    self.height[rule.head] = height
                    changed = True

    def _height(self, rule: Rule) -> float:
        return 1 + max((self.height.get(~s, float("inf")) for s in rule.body if s < 0), default=0)

    def tokens(self, depth: int = 8) -> list[int]:
        """The terminals of a sentence."""
        result = []
        stack = [(~self.grammar.start, depth)]
        while stack:
            symbol, left = stack.pop()
            if symbol >= 0:
                result.append(symbol)
                continue
            rules = self.rules[~symbol]
            fitting = [rule for rule in rules if self._height(rule) <= left] or [min(rules, key=self._height)]
            stack.extend((s, left - 1) for s in reversed(self.random.choice(fitting).body))
        return result

    def text(self, depth: int = 8) -> str:
        """A sentence spelled out, with some ignored text in it. A lexer may well cut it in another way."""
        pieces = []
        for symbol in self.tokens(depth):
            if self.grammar.ignore and self.random.random() < 0.4:
                pieces.append(self.word(self.grammar.terminals[self.random.choice(self.grammar.ignore)].dfa()))
            pieces.append(self.word(self.grammar.terminals[symbol].dfa()))
        return "".join(pieces)

    def word(self, dfa: DFA, most: int = 6) -> str:
        """A text of an automaton: a random walk, and from some point on the shortest way out."""
        left = distances(*reversed_rows(dfa.offsets, dfa.targets), dfa.accept).tolist()
        word, state = "", 0
        while not (dfa.accept[state] and (len(word) >= most or self.random.random() < 0.4)):
            row = [
                (c, t)
                for c, t in zip(
                    dfa.symbols[dfa.offsets[state] : dfa.offsets[state + 1]].tolist(),
                    dfa.targets[dfa.offsets[state] : dfa.offsets[state + 1]].tolist(),
                )
                if len(word) < most or left[t] < left[state]
            ]
            if not row:
                break
            c, state = self.random.choice(row)
            pairs = dfa.alphabet.charset([c]).pairs()
            usual = [x for x in COMMON if any(lo <= ord(x) <= hi for lo, hi in pairs)]
            word += self.random.choice(usual) if usual else chr(self.random.randint(*pairs[0]))
        return word

    def mutated(self, text: str) -> str:
        """The text with one to three characters inserted, deleted, replaced or swapped."""
        for _ in range(self.random.randint(1, 3)):
            i = self.random.randrange(len(text) + 1)
            new = self.random.choice(COMMON + text)
            text = self.random.choice(
                [
                    text[:i] + new + text[i:],
                    text[:i] + text[i + 1 :],
                    text[:i] + new + text[i + 1 :],
                    text[:i] + text[i + 1 : i + 2] + text[i : i + 1] + text[i + 2 :],
                ]
            )
        return text


@cache
def lark_parser(name: str) -> lark.Lark:
    """Lark's parser. Lark only logs the choices between shift and reduce that it makes for an ambiguous table."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    level = lark.logger.level
    lark.logger.addHandler(handler)
    lark.logger.setLevel(logging.DEBUG)
    try:
        parser = lark.Lark.open(str(bundled()[name]), parser="lalr", lexer="contextual", debug=True)
    finally:
        lark.logger.removeHandler(handler)
        lark.logger.setLevel(level)
    assert "conflict" not in log.getvalue().lower(), log.getvalue()
    return parser


@cache
def examples(name: str, kind: str) -> list[str]:
    """The texts in its header that it "accepts" or "rejects"."""
    lines = re.findall(rf"^// {kind}: (.*)$", bundled()[name].read_text("utf-8"), re.MULTILINE)
    return [json.loads(line) for line in lines]


def accepts(name: str, text: str) -> bool:
    try:
        lark_parser(name).parse(text)
    except lark.exceptions.UnexpectedInput:
        return False
    return True


class BundledTexts:
    """Random sentences of a grammar that ships, and texts near them."""

    def __init__(self, name: str, seed: int = 0):
        parser = lark_parser(name)
        self.name, self.random = name, random.Random(seed)
        self.terminals = {t.name: t.pattern for t in parser.terminals}
        self.ignored = list(parser.ignore_tokens)
        self.rules: dict[str, list] = {}
        for rule in parser.rules:
            self.rules.setdefault(rule.origin.name, []).append(rule.expansion)
        self.height = {}  # of the smallest tree below a rule
        while len(self.height) < len(self.rules):
            for head, bodies in self.rules.items():
                known = [b for b in bodies if all(s.is_term or s.name in self.height for s in b)]
                if known and head not in self.height:
                    self.height[head] = min(map(self._body_height, known))
        self.literals = {t.value for t in self.terminals.values() if t.type == "str"}
        usual = [" ", "  ", "\n", "\n    ", "a", "0", "1", "-", ".", ",", '"', "'", "\\", "é", "\t", "_", "e"]
        self.snippets = [*sorted(text.strip() for text in self.literals), *usual]

    def _body_height(self, body) -> int:
        return 1 + max((self.height[s.name] for s in body if not s.is_term), default=0)

    def sentence(self, size: int = 40) -> str:
        """One derived from the rules; the shortest ways are taken once `size` rules have been used."""
        pieces: list[str] = []
        stack = [(False, "start")]
        while stack:
            is_terminal, name = stack.pop()
            if is_terminal:
                if self.ignored and self.random.random() < 0.3:
                    skipped = self.terminal(self.random.choice(self.ignored))
                    pieces.append(skipped + "\n" * skipped.startswith(("//", "#")))  # a comment ends with its line
                pieces.append(self.terminal(name))
                continue
            bodies = self.rules[name]
            if size <= 0:
                heights = [self._body_height(b) for b in bodies]
                bodies = [b for b, h in zip(bodies, heights) if h == min(heights)]
            size -= 1
            stack.extend((s.is_term, s.name) for s in reversed(self.random.choice(bodies)))
        return "".join(pieces)

    def terminal(self, name: str) -> str:
        pattern = self.terminals[name]
        if pattern.type == "str":
            return pattern.value
        regex = pattern.to_regexp()
        tree = regex_parser.parse(regex)
        while True:  # what was drawn may be forbidden by a look-ahead, or be another terminal
            text = "".join(self._draw(item) for item in tree)
            if text not in self.literals and re.fullmatch(regex, text):
                return text

    def _draw(self, item) -> str:
        kind, value = item
        if kind is op.LITERAL:
            return chr(value)
        if kind in (op.IN, op.NOT_LITERAL, op.ANY):
            pool = "abefinorstuxzABEFNTX_0123456789 \t\n'\"\\/#{}()[]<>:;.,|-+*=!%@~&?^$é\u2028\r"
            allowed = [c for c in pool if self._in(item, ord(c))]
            if allowed and self.random.random() < 0.9:
                return self.random.choice(allowed)
            return self.random.choice([chr(c) for c in range(0x250) if self._in(item, c)])
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            least, most, body = value
            times = min(int(most), int(least) + int(self.random.expovariate(0.6)))
            return "".join(self._draw(part) for _ in range(times) for part in body)
        if kind is op.SUBPATTERN:
            return "".join(map(self._draw, value[-1]))
        if kind is op.BRANCH:
            return "".join(map(self._draw, self.random.choice(value[1])))
        assert kind is op.ASSERT_NOT, kind
        return ""

    def _in(self, item, character: int) -> bool:
        kind, value = item
        if kind is op.LITERAL:
            return character == value
        if kind is op.NOT_LITERAL:
            return character != value
        if kind is op.ANY:
            return character != 10
        if kind is op.RANGE:
            return value[0] <= character <= value[1]
        negated = value[0][0] is op.NEGATE
        return negated != any(self._in(part, character) for part in value[negated:])

    def near(self, text: str) -> str:
        """With one or two small changes."""
        for _ in range(self.random.choice([1, 1, 2])):
            i = self.random.randrange(len(text) + 1)
            j = min(len(text), i + self.random.choice([0, 1, 1, 2]))
            text = text[:i] + self.random.choice(["", self.random.choice(self.snippets)]) + text[j:]
        return text

    def accepted(self, count: int):
        """Texts that the parser accepts, from `count` sentences."""
        bases = examples(self.name, "accepts")
        for _ in range(count):
            text = self.sentence(self.random.choice([5, 20, 40]))
            base = self.random.choice(bases)
            for candidate in (text, self.near(text), self.near(base), self.near(self.near(base))):
                if accepts(self.name, candidate):
                    yield candidate
