"""Texts to try grammars on: sentences by chance, and sentences with a few characters changed."""

import random
from collections import deque

from dgemma_constrain.automata.dfa import DFA
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
        left = _distances(dfa)
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


def _distances(dfa: DFA) -> list[float]:
    """How many characters each state is away from an accepting one."""
    back = [[] for _ in range(dfa.states)]
    for s in range(dfa.states):
        for t in dfa.targets[dfa.offsets[s] : dfa.offsets[s + 1]].tolist():
            back[t].append(s)
    left = [0 if accept else float("inf") for accept in dfa.accept]
    queue = deque(s for s in range(dfa.states) if dfa.accept[s])
    while queue:
        t = queue.popleft()
        for s in back[t]:
            if left[s] == float("inf"):
                left[s] = left[t] + 1
                queue.append(s)
    return left
