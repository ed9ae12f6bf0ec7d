"""A grammar as a machine that reads characters, or the bytes of tokens, with nesting of any depth.

Without a lexer (GBNF) the terminals are the classes of the alphabet, each of which has the obvious scanner.
"""

from __future__ import annotations

import threading
from functools import cached_property
from heapq import heappop, heappush

import numpy as np

from dgemma_constrain.automata.alphabet import members
from dgemma_constrain.automata.charset import TEXT_LIMIT
from dgemma_constrain.automata.decoding import leads, utf8_tree
from dgemma_constrain.automata.interning import FULL, intern, new_heap, remember, roomier
from dgemma_constrain.automata.kernels import distances, reversed_rows
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.lr_tables import LRTables, lr_tables
from dgemma_constrain.automata.stacks import DEAD, LIMIT, MOST, first_set, new_stacks, terminals_of
from dgemma_constrain.constraints.grammar.configurations import accepts, onward, read_bytes, shortest, step
from dgemma_constrain.constraints.grammar.guesses import (
    BEGIN,
    GUESSES,
    MISSING,
    SCANNER,
    WHOLE,
    Composite,
    Machine,
    scanner_row,
)
from dgemma_constrain.constraints.grammar.lexer import Lexer, Scanner
from dgemma_constrain.constraints.grammar.rules import Grammar
from dgemma_constrain.constraints.grammar.spans import Automata, side_by_side, singles
from dgemma_constrain.errors import LimitExceeded

MANY = 1 << 25  # integers in a heap
NO_COMPOSITE = Composite(
    np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, bool), np.zeros(0, np.int32),
    np.zeros((0, 2), np.int32), np.zeros(0, np.int64), np.zeros((0, 2), np.int32),
)  # fmt: skip


class GrammarMachine:
    """The configurations of a grammar, from Python: `start`, and what follows. For the thread that holds the `lock`."""

    def __init__(self, grammar: Grammar, limits: Limits = Limits()):
        lexer = Lexer(grammar, limits)
        if grammar.scannerless:
            rules, nonterminals = by_class(grammar, lexer, limits)
            length, ignored = np.ones(lexer.alphabet.size, np.int32), frozenset()
        else:
            rules, nonterminals = grammar.rules, len(grammar.nonterminals)
            length, ignored = shortest_texts(grammar, limits), frozenset(grammar.ignore)
        tables = lr_tables(rules, len(length), nonterminals, grammar.start, limits)
        self.grammar, self._ignored = grammar, ignored
        self._set_up(lexer, tables, length, np.isin(np.arange(len(length)), list(ignored)), [len(length)], NO_COMPOSITE)

    def _set_up(self, lexer: Lexer, tables: LRTables, length, ignored, ends: list[int], composite: Composite) -> None:
        """length int32[T], ignored bool[T]: of each terminal."""
        self.lock = threading.Lock()
        self.lexer, self.alphabet, self.terminals, self.tables = lexer, lexer.alphabet, len(length), tables
        classes = int((self.alphabet.first() < TEXT_LIMIT).sum())
        tree = utf8_tree(self.alphabet)
        leading = leads(tree, classes)
        offsets = np.cumsum([len(tree) + 1, *leading.sum(0)])
        below = np.concatenate([offsets, np.nonzero(leading.T)[1]]).astype(np.int32)
        bits = np.zeros(32 * tables.shifts.shape[1], np.uint8)
        bits[ends] = 1
        self.machine = Machine(
            new_stacks(tables, length), np.empty(1 << 16, np.int32), tree, below, classes,
            np.packbits(bits, bitorder="little").view(np.int32), composite,
            np.empty(max(2 * GUESSES + 1, 2 + composite.items.size), np.int32), np.zeros(1, np.int64),
        )  # fmt: skip
        self._length, self.ignored, self.ending = length, ignored, frozenset(ends)
        self._used = 0  # of scan
        self._made: dict[frozenset[int], int] = {}
        self.start = self._begin()

    @cached_property
    def automata(self) -> Automata:
        """How the terminals are spelt, and after them what else `arcs` asks for."""
        spelt = singles(np.arange(self.terminals)) if self.grammar.scannerless else self.lexer.automata
        return side_by_side(*spelt, np.zeros(self.alphabet.size, bool))

    def _begin(self) -> int:
        return self._first(first_set(self.machine.stacks.heap))

    def _first(self, stack_set: int) -> int:
        """The configuration of a set of stacks that a terminal is about to follow."""
        row = np.array([WHOLE, stack_set, BEGIN], np.int32)
        return self._ask(lambda machine: intern(machine.stacks.heap, row, np.int64(3)))

    def tidy(self) -> None:
        """Forget all configurations if there are many. `start` is another number then."""
        if self.machine.stacks.heap.size[0] > MANY:
            self.machine = self.machine._replace(stacks=self.machine.stacks._replace(heap=new_heap()))
            self.start = self._begin()

    def step(self, config: int, c: int) -> int:
        """After a character of a class, or DEAD. Raises LimitExceeded."""
        return self._alive(self._ask(step, config, c))

    def read(self, config: int, text: bytes) -> int:
        """After bytes, or DEAD. Raises LimitExceeded."""
        data, at = np.frombuffer(text, np.uint8).copy(), 0  # of the type that tokens have: kernels are compiled once
        while True:
            after, config, more = read_bytes(self.machine, np.int64(config), data[at:])
            at += more
            if not self.lacks(after):
                return self._alive(after)

    def path(self, text: str, start: int = 0) -> list[int]:
        """The configurations at which a text is read from `start` on, as far as it goes. Raises LimitExceeded."""
        path = [self.start]
        for c in self.lexer.classes(text[start:]).tolist():
            config = self.step(path[-1], c) if c >= 0 else DEAD
            if config == DEAD:
                break
            path.append(config)
        return path

    def ends(self, text: str, start: int = 0) -> list[int]:
        """The lengths, ascending, of the texts that begin at `start`. Takes the lock. Raises LimitExceeded."""
        with self.lock:
            self.tidy()
            return [n for n, config in enumerate(self.path(text, start)) if self.accepts(config)]

    def reads(self, text: bytes) -> bool:
        """Whether some text begins so. Takes the lock."""
        with self.lock:
            return self.read(self.start, text) >= 0

    def accepts(self, config: int) -> bool:
        """Whether the text may end here. Raises LimitExceeded."""
        return self._alive(self._ask(accepts, config)) == 1

    def shortest(self, config: int) -> int:
        """A lower bound on the characters that complete the text."""
        return self._ask(shortest, config)

    def following(self, config: int) -> list[int]:
        """The classes of characters that lead on."""
        return [c for c in range(self.machine.classes) if self.step(config, c) != DEAD]

    def close(self, config: int, tries: int = 20_000) -> bytes | None:
        """Bytes that complete the text, rather few; None if none were found in so many tries.

        Best first, by the length so far and twice the bound on what is missing.
        """
        spelt = self._spelt()
        after, bound = np.empty(self.machine.classes, np.int64), np.empty(self.machine.classes, np.int64)
        came: dict[int, tuple[int, bytes]] = {}
        agenda = [(0, 0, config)]
        while agenda and tries:
            tries -= 1
            _, length, here = heappop(agenda)
            if self.accepts(here):
                text = []
                while here in came:
                    here, piece = came[here]
                    text.append(piece)
                return b"".join(reversed(text))
            self._ask(onward, here, arrays=(after, bound))
            for c in np.nonzero(after >= 0)[0].tolist():
                target = int(after[c])
                if target not in came and target != config:
                    piece = spelt[c]
                    if (node := self.machine.stacks.heap.items[here + 1]) != WHOLE:
                        piece = _path(self.machine.tree, int(node), c)
                        if piece is None:
                            continue
                    came[target] = here, piece
                    heappush(agenda, (length + 1 + 2 * int(bound[c]), length + 1, target))
        return None

    def _spelt(self) -> list[bytes]:
        """A character of each class, one that is often met if there is one."""
        spelt = [chr(c).encode() for c in self.alphabet.first().tolist() if c < TEXT_LIMIT]
        usual = "".join(map(chr, range(126, 31, -1))) + "0a"
        for c, mark in zip(self.alphabet.of(np.array([*map(ord, usual)])).tolist(), usual):
            if c >= 0:
                spelt[c] = mark.encode()
        return spelt

    def _ask(self, what, *numbers: int, arrays: tuple = ()) -> int:
        while self.lacks(answer := what(self.machine, *map(np.int64, numbers), *arrays)):
            pass
        return int(answer)

    def _alive(self, answer: int) -> int:
        if answer == LIMIT:
            what = f"more than {MOST} readings or {GUESSES} ways to cut it"
            raise LimitExceeded(f"this grammar is so ambiguous that a text has {what} into terminals at one place")
        return int(answer)

    def lacks(self, status: int) -> bool:
        """Whether a kernel stopped for want of something. It has it now, and can be called again."""
        if status in (FULL, MISSING):
            self._supply(status)
            return True
        return False

    def _supply(self, status: int) -> None:
        """What a kernel lacked."""
        machine = self.machine
        if status == FULL:
            stacks = machine.stacks._replace(heap=roomier(machine.stacks.heap))
            self.machine = machine._replace(stacks=stacks)
            return
        kind = np.int64(machine.told[0])
        followers = terminals_of(machine.stacks.heap, kind)
        if followers not in self._made:
            scanner = self._scanner(followers)
            row = scanner_row(
                scanner.offsets, scanner.symbols, scanner.targets, scanner.winner, self.ignored, self._length,
                self._used,
            )  # fmt: skip
            if self._used + len(row) > len(machine.scan):
                longer = np.empty(2 * (self._used + len(row)), np.int32)
                longer[: self._used] = machine.scan[: self._used]
                self.machine = machine = machine._replace(scan=longer)
            machine.scan[self._used : self._used + len(row)] = row
            self._made[followers] = self._used
            self._used += len(row)
        if remember(machine.stacks.heap, kind, np.int64(SCANNER), np.int64(self._made[followers])) == FULL:
            self._supply(FULL)

    def _scanner(self, followers: frozenset[int]) -> Scanner:
        """The scanner where these terminals may follow, the end of the text perhaps among them."""
        wanted = followers - self.ending
        return of_classes(wanted) if self.grammar.scannerless else self.lexer.of(wanted | self._ignored)


def of_classes(wanted: frozenset[int]) -> Scanner:
    """The scanner of single characters, whose terminals are their classes."""
    n, classes = len(wanted), np.array(sorted(wanted), np.int32)
    offsets = np.array([0] + [n] * (n + 1), np.int64)
    return Scanner(offsets, classes, np.arange(1, n + 1, dtype=np.int32), np.append(np.int32(-1), classes))


def shortest_texts(grammar: Grammar, limits: Limits) -> np.ndarray:
    """The characters of each terminal's shortest text, int32[T]."""
    dfas = [terminal.dfa(limits) for terminal in grammar.terminals]
    return np.array(
        [distances(*reversed_rows(d.offsets, d.targets), d.accept)[0] for d in dfas], np.int32
    )  # fmt: skip


def by_class(grammar: Grammar, lexer: Lexer, limits: Limits) -> tuple[list[tuple[int, tuple[int, ...]]], int]:
    """The rules of a grammar without a lexer, over classes of characters; and how many nonterminals there are now.

    A set of several classes is one more.
    """
    number: dict = {}
    rules: list[tuple[int, tuple[int, ...]]] = []
    spelled = []
    for terminal in grammar.terminals:
        dfa = terminal.dfa(limits)
        word = []
        for charset in (dfa.next_characters(s) for s in range(dfa.states - 1)):
            if charset not in number:
                classes = members(lexer.alphabet, [charset])[1].tolist()
                new = ~(len(grammar.nonterminals) + len(number))
                number[charset] = classes[0] if len(classes) == 1 else new
                rules += [(~new, (c,)) for c in classes] if len(classes) > 1 else []
            word.append(number[charset])
        spelled.append(tuple(word))
    for rule in grammar.rules:
        rules.append((rule.head, tuple(t for s in rule.body for t in (spelled[s] if s >= 0 else (s,)))))
    return rules, len(grammar.nonterminals) + len(number)


def _path(tree: np.ndarray, node: int, c: int) -> bytes | None:
    """The bytes from an inner node to a class, if it is below."""
    for byte in np.nonzero(tree[node] == c)[0].tolist():
        return bytes([byte])
    for byte in np.nonzero(tree[node] <= -2)[0].tolist():
        rest = _path(tree, -2 - int(tree[node, byte]), c)
        if rest is not None:
            return bytes([byte]) + rest
    return None
