"""A grammar as a network of small automata that call each other: all texts, to any depth, with an explicit stack.

A nonterminal that is really nested is a *procedure*: the minimal automaton that `nesting.py` makes of it, with a call in
the place of whatever procedure is nested in it. Empty rules are taken out first, so a call reads something; and
left recursion is a loop, so no procedure begins with a call. Hence one rule, as in a Greibach normal form: a call reads
the first terminal of the procedure at once, and pushes the *frame* where its caller goes on only if there is more to
come, in the caller and in the procedure. In JSON a bracket pushes, and no string or number does. A procedure that can
only end now has ended; one that could also go on ends when a terminal comes that it cannot use.

Which terminals are in question (see `lexer.py`) depends on what may follow a procedure. So a place in one is known
together with the set of terminals that may follow it there, its *follow*, exactly: what can come next in the caller,
and if the caller may end there, the caller's own. What ends where is settled as the lexer does: a terminal that has
matched and could go on goes on if the next character lets it match again; otherwise both ways are followed, the shorter
one under the *ban* that the longer one never matches. So every text is cut in one way.

The result is a pushdown system over characters: a character leads from a place to *nodes*, which push and pop until they
come to a place again. If at every place each terminal can be used in one way only, the system is unambiguous: a text has
one run. Otherwise it may have several, and the terminals in question are known exactly only if no two terminals begin
with the same character, so that it doesn't matter which are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Callable, NamedTuple

import numpy as np

from dgemma_constrain.automata.charset import TEXT_LIMIT, Charset, char
from dgemma_constrain.automata.dfa import DFA, compile_nfa
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.lr_tables import derivable, without_empty
from dgemma_constrain.automata.nfa import NFA, symbol
from dgemma_constrain.automata.pushdown import PLACE, POP, PUSH, TEXT, Network
from dgemma_constrain.constraints.grammar.lexer import Lexer, Scanner
from dgemma_constrain.constraints.grammar.nesting import Nesting, components
from dgemma_constrain.constraints.grammar.rules import Grammar, Rule
from dgemma_constrain.errors import LimitExceeded

END, BOTTOM = -1, -2  # in a follow: the end of the text; that nothing is below
BANS = 4  # at most at one place
NODES = 1_500  # at most: a larger network has too large a chart
CYCLIC = 300  # nonterminals that refer to themselves, at most: choosing among them takes long


class _Procedures(Nesting):
    """What is nested is put in as a copy, too, but for a few nonterminals that every cycle of references passes through:
    those are called. Calls are markers."""

    def __init__(self, grammar: Grammar, leaf: Callable[[int], NFA], limits: Limits):
        super().__init__(grammar, leaf, lambda n: symbol(Charset.marker(n)))
        self.called = self._cut(limits)

    def procedure(self, n: int, limits: Limits) -> DFA:
        return compile_nfa(self._fragment(n, 0, limits), limits)

    def _copy(self, n: int, depth: int) -> NFA:
        return self.trap(n) if depth < 0 else super()._copy(n, depth)

    def _at(self, head: int, part: int, depth: int) -> tuple[int, int]:
        return part, depth - 1 if self.group[part] == self.group[head] and part in self.called else depth

    def _cut(self, limits: Limits) -> set[int]:
        """A small set of nonterminals whose removal leaves no cycle (a feedback vertex set), chosen greedily."""
        references: dict[int, set[int]] = {}
        for n in (agenda := [self.start]):  # grows
            references[n] = {~s for arc in self._arcs_of(n) for s in arc.word if s < 0}
            agenda += [m for m in references[n] if m not in agenda]
        cut: set[int] = set()
        while cyclic := _on_cycles(references):
            limits.check(len(cyclic) > CYCLIC, "a grammar as a network")
            chosen = min(cyclic, key=lambda n: (len(_on_cycles(_without(references, n))), n))
            references = _without(references, chosen)
            cut.add(chosen)
        return cut


def _without(references: dict[int, set[int]], removed: int) -> dict[int, set[int]]:
    return {n: to - {removed} for n, to in references.items() if n != removed}


def _on_cycles(references: dict[int, set[int]]) -> list[int]:
    number = components(references)
    sizes = Counter(number.values())
    return [n for n, to in references.items() if sizes[number[n]] > 1 or n in to]


class _Rows(NamedTuple):
    """All procedures side by side, state by state: the state after each terminal; (first state of a procedure, state
    after the call); whether it may end; whether it can only end."""

    reads: list[dict[int, int]]
    calls: list[list[tuple[int, int]]]
    accept: list[bool]
    complete: list[bool]


def network(grammar: Grammar, limits: Limits = Limits()) -> Network | None:
    """None if there is none: the grammar is ambiguous to one who reads on without looking ahead (see above), or has no
    text but the empty one. Raises LimitExceeded."""
    plain, empty, names = without_empty(grammar.rules, len(grammar.nonterminals))
    useful = derivable(plain, lambda terminal: True)
    if grammar.start not in useful:
        return None
    rules = tuple(Rule(n, body) for n, body in plain if all(s >= 0 or ~s in useful for s in body))
    few = Limits(min(NODES, limits.states), limits.seconds)
    lexer = Lexer(grammar, limits)
    plain_grammar = Grammar(grammar.terminals, ("",) * names, rules, grammar.ignore, grammar.start, grammar.scannerless)
    return _Builder(lexer, _rows(plain_grammar, lexer, few), grammar.start in empty, few).network()


def _rows(grammar: Grammar, lexer: Lexer, limits: Limits) -> _Rows:
    """The automata of the start and of what is called from there. State 0 is the start's, and nothing leads back to it.

    Without a lexer the terminals are the classes of its alphabet.
    """
    terminals = grammar.terminals
    if grammar.scannerless:
        procedures = _Procedures(grammar, lambda k: terminals[k].dfa(limits).nfa(), limits)
        spelt = lexer.alphabet.first()
    else:
        procedures = _Procedures(grammar, lambda k: symbol(char(chr(k))), limits)
        spelt = np.arange(len(terminals), dtype=np.int32)
    called = np.array(sorted(procedures.called), np.int32)
    first: dict[int, int] = {grammar.start: 1}
    rows = _Rows([{}], [[]], [False], [])
    targets: list[list[tuple[int, int]]] = [[]]
    for n in (agenda := [grammar.start]):  # grows
        dfa = procedures.procedure(n, limits)
        first[n] = begin = len(rows.reads)
        limits.check(begin + dfa.states > limits.states, "a grammar as a network")
        read, call = dfa.alphabet.of(spelt), dfa.alphabet.of(TEXT_LIMIT + called)
        terminals_of = [np.flatnonzero(read == c).tolist() for c in range(dfa.alphabet.size)]
        calls_of = [called[call == c].tolist() for c in range(dfa.alphabet.size)]
        for s in range(dfa.states):
            rows.reads.append({})
            rows.accept.append(bool(dfa.accept[s]))
            targets.append([])
            for e in range(dfa.offsets[s], dfa.offsets[s + 1]):
                for terminal in terminals_of[dfa.symbols[e]]:
                    rows.reads[-1][terminal] = begin + int(dfa.targets[e])
                for m in calls_of[dfa.symbols[e]]:
                    if m not in agenda:
                        agenda.append(m)
                    targets[-1].append((m, begin + int(dfa.targets[e])))
    rows.calls[:] = [[(first[n], t) for n, t in row] for row in targets]
    rows.reads[0], rows.calls[0], rows.accept[0] = rows.reads[1], rows.calls[1], rows.accept[1]
    rows.complete[:] = [a and not r and not c for r, c, a in zip(rows.reads, rows.calls, rows.accept)]
    return rows


class _Builder:
    """Explores the nodes that can be reached.

    A node is a tuple: (PLACE, state, follow, scanner's state or None, bans), (PUSH, frame, node), (POP, follow or
    None, terminal or None, class or None, bans) or (TEXT,). A frame is (state, follow). POP goes on only where it finds a
    frame of its own follow (None: any), and there with the terminal, if there is one, then with the class, if there is one.
    """

    def __init__(self, lexer: Lexer, rows: _Rows, accepts_empty: bool, limits: Limits):
        self.lexer, self.rows, self.limits = lexer, rows, limits
        self.rows.accept[0] = accepts_empty
        self.rows.complete[0] = False
        self.end = lexer.alphabet.size
        self.ignored = frozenset(lexer.grammar.ignore)
        self.ambiguous = False
        self._scanners: dict[frozenset[int], tuple[int, Scanner]] = {}
        self._by_number: list[tuple[list[dict[int, int]], list[int]]] = []

    def network(self) -> Network | None:
        start = (PLACE, 0, frozenset([END, BOTTOM]), None, frozenset())
        number = {start: 0}
        frames: dict[tuple, int] = {}
        by_follow: dict[frozenset, list[tuple]] = defaultdict(list)  # frames
        waiting: dict[frozenset | None, list[tuple]] = defaultdict(list)  # POP nodes
        steps: list[dict[int, tuple[int, ...]]] = [{}]
        push: dict[int, tuple[int, int]] = {}
        pops: dict[int, dict[int, tuple[int, ...]]] = defaultdict(dict)
        agenda = [start]

        def numbers(nodes: list[tuple]) -> tuple[int, ...]:
            for node in nodes:
                if node not in number:
                    number[node] = len(agenda)
                    agenda.append(node)
                    steps.append({})
            return tuple(sorted({number[node] for node in nodes}))

        for here, node in enumerate(agenda):  # grows
            self.limits.check(len(agenda) > self.limits.states, "a grammar as a network")
            if node[0] == PLACE:
                steps[here] = {c: numbers(nodes) for c, nodes in self._steps(node).items()}
            elif node[0] == PUSH:
                frame = node[1]
                if frame not in frames:
                    frames[frame] = len(frames)
                    follow = self._follow(*frame)
                    by_follow[follow].append(frame)
                    for other in waiting[follow] + waiting[None]:
                        pops[number[other]][frames[frame]] = numbers(self._popped(other, frame))
                push[here] = frames[frame], numbers([node[2]])[0]
            elif node[0] == POP:
                waiting[node[1]].append(node)
                for frame in list(frames) if node[1] is None else by_follow[node[1]]:
                    pops[here][frames[frame]] = numbers(self._popped(node, frame))
        if self.ambiguous and not self._are_apart():
            return None
        kind = np.array([node[0] for node in agenda], np.int8)
        return Network(self.lexer.alphabet, kind, steps, push, dict(pops), len(frames), not self.ambiguous)

    def _are_apart(self) -> bool:
        """Whether no two terminals begin with the same character."""
        if self.lexer.grammar.scannerless:
            return True
        met: set[int] = set()
        for k in range(len(self.lexer.grammar.terminals)):
            begins = self.lexer.automaton(k)[0][0].keys()
            if met & begins:
                return False
            met |= begins
        return True

    # Terminals: where they lead in the network --------------------------------------------------------------------------

    def _first(self, state: int) -> set[int]:
        """The terminals that can be read next in the procedure."""
        found = set(self.rows.reads[state])
        for begin, _ in self.rows.calls[state]:
            found |= self.rows.reads[begin].keys()
        return found

    def _follow(self, state: int, follow: frozenset[int]) -> frozenset[int]:
        """What may follow a call after which its caller is here."""
        found = frozenset(self._first(state))
        return found | (follow - {BOTTOM}) if self.rows.accept[state] else found

    def _read(self, state: int, follow: frozenset[int], terminal: int, c: int | None, bans: frozenset) -> list[tuple]:
        """The nodes after a terminal, if it can be read here, and then the beginning of the next with class c."""
        rows, found = self.rows, []
        ways = 0
        if terminal in rows.reads[state]:
            ways += 1
            found += self._done(rows.reads[state][terminal], follow, c, bans)
        for begin, after in rows.calls[state]:
            inside = rows.reads[begin].get(terminal)
            if inside is None:
                continue
            ways += 1
            if rows.complete[inside]:
                found += self._done(after, follow, c, bans)
            elif rows.complete[after]:
                found += self._done(inside, follow, c, bans)
            else:
                onward = self._done(inside, self._follow(after, follow), c, bans)
                found += [(PUSH, (after, follow), node) for node in onward]
        if rows.accept[state] and terminal in follow and BOTTOM not in follow:
            ways += 1
            found.append((POP, follow, terminal, c, bans))
        self.ambiguous |= ways > 1
        return found

    def _done(self, state: int, follow: frozenset[int], c: int | None, bans: frozenset) -> list[tuple]:
        if self.rows.complete[state] and BOTTOM not in follow:
            return [(POP, None, None, c, bans)]
        return self._enter(state, follow, c, bans)

    def _popped(self, node: tuple, frame: tuple) -> list[tuple]:
        _, _, terminal, c, bans = node
        return self._enter(*frame, c, bans) if terminal is None else self._read(*frame, terminal, c, bans)

    # Characters: where terminals begin and end --------------------------------------------------------------------------

    def _scanner(self, state: int, follow: frozenset[int]) -> int:
        """The number of the scanner for what is in question here."""
        wanted = frozenset(self._first(state) | self.ignored | (follow if self.rows.accept[state] else set()))
        wanted -= {END, BOTTOM}
        if wanted not in self._scanners:
            scanner = self.lexer.of(wanted)
            self._scanners[wanted] = len(self._by_number), scanner
            self._by_number.append((scanner.rows, scanner.winner.tolist()))
        return self._scanners[wanted][0]

    def _enter(self, state: int, follow: frozenset[int], c: int | None, bans: frozenset) -> list[tuple]:
        """A terminal is about to begin, with class c if it is known."""
        if c is None:
            return [(PLACE, state, follow, None, bans)]
        if c == self.end:
            if not self.rows.accept[state] or END not in follow:
                return []
            return [(TEXT,)] if BOTTOM in follow else [(POP, None, None, c, bans)]
        if self.lexer.grammar.scannerless:
            return self._read(state, follow, c, None, bans)
        scanner = self._scanner(state, follow)
        there = self._by_number[scanner][0][0].get(c)
        return [] if there is None else self._inside(state, follow, scanner, there, bans)

    def _inside(self, state: int, follow: frozenset[int], scanner: int, at: int, bans: frozenset) -> list[tuple]:
        """A terminal is under way; if it can only end now, it does."""
        rows, winner = self._by_number[scanner]
        if winner[at] >= 0 and not rows[at]:
            return self._won(state, follow, winner[at], None, bans)
        return [(PLACE, state, follow, (scanner, at), bans)]

    def _won(self, state: int, follow: frozenset[int], terminal: int, c: int | None, bans: frozenset) -> list[tuple]:
        if terminal in self.ignored:
            return self._enter(state, follow, c, bans)
        return self._read(state, follow, terminal, c, bans)

    def _steps(self, place: tuple) -> dict[int, list[tuple]]:
        """The nodes after each class of characters, and at the end of the text."""
        _, state, follow, under_way, bans = place
        found: dict[int, list[tuple]] = {}
        if under_way is None:
            scannerless = self.lexer.grammar.scannerless
            begun = range(self.end) if scannerless else self._by_number[self._scanner(state, follow)][0][0]
            for c in [*begun, self.end]:
                kept = self._kept(bans, c)
                nodes = [] if kept is None else self._enter(state, follow, c, kept)
                if nodes:
                    found[c] = nodes
            return found
        scanner, at = under_way
        rows, winner = self._by_number[scanner]
        for c in range(self.end + 1):
            there = rows[at].get(c)
            if (there is None and winner[at] < 0) or (kept := self._kept(bans, c)) is None:
                continue
            nodes = [] if there is None else self._inside(state, follow, scanner, there, kept)
            if winner[at] >= 0 and (there is None or winner[there] < 0):  # it may have ended before c
                more = kept if there is None else kept | {(scanner, there)}
                if len(more) > BANS:
                    raise LimitExceeded(
                        "a text of this grammar can be cut into terminals in too many ways at one place"
                    )
                nodes = nodes + self._won(state, follow, winner[at], c, more)
            if nodes:
                found[c] = nodes
        return found

    def _kept(self, bans: frozenset, c: int) -> frozenset | None:
        """The bans after a class; None if what is banned has happened."""
        kept = []
        for scanner, at in bans:
            rows, winner = self._by_number[scanner]
            there = rows[at].get(c)
            if there is not None:
                if winner[there] >= 0:
                    return None
                kept.append((scanner, there))
        return frozenset(kept)
