"""From rules to a finite automaton: loops for what repeats, copies for what is nested, up to a depth.

Left recursion is a loop: the automaton of a nonterminal A has a joint for every nonterminal that can stand at the
left edge of an A, reached when one of those is complete, and a rule B → C γ leads from the joint of C to that of B by
way of γ (so a left-linear grammar becomes an automaton). Right recursion is one, too, where nothing can follow: a
rule B → γ C whose B completes the whole leads to where a C begins. And the classic `e: e "+" e` is the same as `e: e
"+" f` with all other rules of e for f, since joining is associative.

Whatever else a rule refers to is put in as a copy of that nonterminal's minimal automaton. In expressions this leads
down, from sums to products to atoms, and ends there; the order is that of the references at the edges of rules. A
reference that doesn't lead down, like that in `"(" e ")"`, is *nesting*. It costs one level of depth, and at level -1
a trap stands in place of the copy.

No copy is made of what is not recursive and referred to once, or only at the ends of rules: its rules are laid in place
(at an end of the whole once, however many lead there: a tail call). So what n rules say one after the other, or one
inside the other, takes time in proportion to n, where copies of copies would take its square.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Callable, Iterable, Mapping, NamedTuple

from dgemma_constrain.automata.dfa import DFA, compile_nfa
from dgemma_constrain.automata.graph import graph
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA, NOTHING
from dgemma_constrain.constraints.grammar.rules import Grammar
from dgemma_constrain.errors import LimitExceeded

Joint = tuple[int, int]  # (the nonterminal to be completed, the one at its left edge that just was; -1: none yet)
LAID = 400_000  # states of all that are put together, before they are minimal; or four times what one automaton may have
TRANSITIONS = 8_000_000  # of one part
PART = 40  # states cost as much as what an automaton takes whatever its size
END: Joint = (-1, -1)  # of the whole; as after any nonterminal that is completed by itself


class Arc(NamedTuple):
    """Part of a rule of `head`: the symbols to be read on the way from one joint to another."""

    source: Joint
    word: tuple[int, ...]
    target: Joint
    head: int


class Nesting:
    """The rules of a grammar, ready to be unfolded.

    leaf: the fragment of a terminal, given its number; trap: what stands for a nonterminal that is too deep
    """

    def __init__(self, grammar: Grammar, leaf: Callable[[int], NFA], trap: Callable[[int], NFA]):
        self.leaf, self.trap, self.start = leaf, trap, grammar.start
        self.bodies, self.twins = _associated(grammar)
        self.group = components({n: {~s for b in bodies for s in b if s < 0} for n, bodies in self.bodies.items()})
        self.level = components({
            n: {~s for b in bodies for s in b[:1] + b[-1:] if s < 0 and self.group[~s] == self.group[n]}
            for n, bodies in self.bodies.items()
        })  # fmt: skip
        self._once, self._last = self._laid_in_place()
        self._arcs: dict[int, list[Arc]] = {}
        self._nested: dict[int, bool] = {}
        self._made: dict[tuple[int, int], NFA] = {}
        self._laid = 0

    def dfa(self, depth: int, limits: Limits) -> DFA:
        """The minimal automaton of the start, with up to `depth` levels of nesting. Raises LimitExceeded."""
        return compile_nfa(self._fragment(self.start, depth, limits), limits)

    def is_nested(self) -> bool:
        """Whether anything is nested at all, so that the depth matters."""
        known = {self.start}
        agenda = [self.start]
        for n in agenda:  # grows
            for part, depth in self._parts(n, 0):
                if depth < 0:
                    return True
                if part not in known:
                    known.add(part)
                    agenda.append(part)
        return False

    def _parts(self, n: int, depth: int) -> list[tuple[int, int]]:
        """The nonterminals, each with its depth, that n at a depth is made of."""
        return [self._at(arc.head, ~s, depth) for arc in self._arcs_of(n) for s in arc.word if s < 0]

    def _fragment(self, nonterminal: int, depth: int, limits: Limits) -> NFA:
        """The minimal automaton of a nonterminal; what it is made of is made first, without recursion."""
        agenda = [(nonterminal, depth)]
        while agenda:
            n, d = agenda[-1]
            parts = self._parts(n, d)
            missing = [part for part in parts if part[1] >= 0 and self._key(*part) not in self._made]
            if missing:
                agenda += missing
                continue
            agenda.pop()
            self._nested[n] = any(k < d or self._nested[m] for m, k in parts)
            if self._key(n, d) not in self._made:
                nfa = self._assembled(n, d)
                self._laid += PART + nfa.states
                most = max(LAID, 4 * limits.states)
                if self._laid > most:
                    raise LimitExceeded(
                        f"{len(self._made):,} parts of this grammar, put together, need more than {most:,} states; "
                        "leave out rules"
                    )
                dfa = compile_nfa(nfa, limits)
                if len(dfa.targets) > TRANSITIONS:
                    raise LimitExceeded(
                        f"a part of this grammar, as an automaton over its terminals, has {len(dfa.targets):,} transitions, "
                        f"more than {TRANSITIONS:,}; leave out rules, or make one terminal of many"
                    )
                self._made[self._key(n, d)] = dfa.nfa()
        return self._made[self._key(nonterminal, depth)]

    def _key(self, n: int, depth: int) -> tuple[int, int]:
        """What is not nested is the same at every depth."""
        return n, depth if self._nested.get(n, True) else 0

    def _at(self, head: int, part: int, depth: int) -> tuple[int, int]:
        """What a reference from a rule of `head` refers to: one level deeper, unless it leads down."""
        down = self.group[part] != self.group[head] or self.level[part] < self.level[head]
        return part, depth if down else depth - 1

    def _assembled(self, n: int, depth: int) -> NFA:
        number = {(n, -1): 0}
        laid = []
        for arc in self._arcs_of(n):
            word = [self.leaf(s) if s >= 0 else self._copy(*self._at(arc.head, ~s, depth)) for s in arc.word]
            ends = [number.setdefault(joint, len(number)) for joint in (arc.source, arc.target)]
            laid.append((ends[0], word, ends[1]))
        last = len(number)
        laid += [(i, [], last) for (root, done), i in number.items() if root == done]
        return graph(last + 1, laid) if laid else NOTHING

    def _copy(self, n: int, depth: int) -> NFA:
        return self.trap(self.twins.get(n, n)) if depth < 0 else self._made[self._key(n, depth)]

    def _arcs_of(self, n: int) -> list[Arc]:
        """The rules that make up n, as arcs between joints."""
        if n not in self._arcs:
            arcs, roots = [], [n]
            for root in roots:  # grows: what a completed root may go on with at its right edge begins at a joint, too
                left = self._left_edge(root)
                last = self._that_complete(left)
                for head in left:
                    for body in self.bodies[head]:
                        source, word, target = (root, -1), body, (root, head)
                        if self._loops(head, body[:1]):
                            source, word = (root, ~body[0]), body[1:]
                        if head in last and self._loops(head, word[-1:]):
                            word, target = word[:-1], (~word[-1], -1)
                            if target[0] not in roots:
                                roots.append(target[0])
                        arcs.append(Arc(source, word, target, head))
            self._arcs[n] = self._with_parts(arcs)
        return self._arcs[n]

    def _with_parts(self, arcs: list[Arc]) -> list[Arc]:
        """The same arcs, with the rules in them of what is laid in place. New joints are (-2 and below, 0)."""
        loops = {arc.source for arc in arcs}
        begins: dict[tuple[int, Joint], Joint] = {}
        made: list[Arc] = []
        new = -1
        for source, word, target, head in (agenda := list(arcs)):  # grows
            if target[0] == target[1] and target not in loops:
                target = END
            first = 0  # of the symbols from `source` on
            for i, s in enumerate(word):
                n, last = ~s, i == len(word) - 1
                if s >= 0 or not (n in self._once or n in self._last and last and target == END):
                    continue
                after = target
                if not last:
                    after, new = (new - 1, 0), new - 1
                begin = begins.get((n, after))
                if begin is None:
                    begin, new = (new - 1, 0), new - 1
                    begins[n, after] = begin
                    agenda += [Arc(begin, body, after, n) for body in self.bodies[n]]
                made.append(Arc(source, word[first:i], begin, head))
                source, first = after, i + 1
            if first < len(word) or not word:
                made.append(Arc(source, word[first:], target, head))
        return made

    def _laid_in_place(self) -> tuple[set[int], set[int]]:
        """The nonterminals that are not recursive and that rules refer to once; and at their ends only."""
        sizes = Counter(self.group.values())
        ends: dict[int, list[bool]] = defaultdict(list)  # of each reference to a nonterminal
        for bodies in self.bodies.values():
            for body in bodies:
                for i, s in enumerate(body, 1):
                    if s < 0:
                        ends[~s].append(i == len(body))
        alone = [n for n in ends if sizes[self.group[n]] == 1 and all(~n not in body for body in self.bodies[n])]
        return {n for n in alone if len(ends[n]) == 1}, {n for n in alone if all(ends[n])}

    def _loops(self, head: int, symbol: tuple[int, ...]) -> bool:
        """Whether what a rule of `head` has at an edge leads back to it."""
        return bool(symbol) and symbol[0] < 0 and self.group[~symbol[0]] == self.group[head]

    def _left_edge(self, root: int) -> list[int]:
        left = [root]
        for head in left:
            for body in self.bodies[head]:
                if self._loops(head, body[:1]) and ~body[0] not in left:
                    left.append(~body[0])
        return left

    def _that_complete(self, left: list[int]) -> set[int]:
        """Those at the left edge after which nothing more is read: only rules of one symbol may lead on from them."""
        onward = [(~b[0], head, len(b)) for head in left for b in self.bodies[head] if self._loops(head, b[:1])]
        last = set(left)
        changed = True
        while changed:
            less = last - {part for part, head, size in onward if size > 1 or head not in last}
            changed, last = less != last, less
        return last


def _associated(grammar: Grammar) -> tuple[dict[int, list[tuple[int, ...]]], dict[int, int]]:
    """The bodies of every nonterminal's rules, with e → e γ e written as e → e γ f; and for every f its e."""
    twins = {}
    bodies: dict[int, list[tuple[int, ...]]] = {n: [] for n in range(len(grammar.nonterminals))}
    for rule in grammar.rules:
        bodies[rule.head].append(rule.body)
    for n in list(bodies):
        if any(len(b) > 1 and b[0] == b[-1] == ~n for b in bodies[n]):
            f = len(bodies)
            twins[f] = n
            others = [b for b in bodies[n] if b[:1] != (~n,)]
            bodies[f] = [b[:-1] + (~f,) if b[-1:] == (~n,) else b for b in others]
            bodies[n] = [b[:-1] + (~f,) if len(b) > 1 and b[-1] == ~n else b for b in bodies[n] if b != (~n,)]
    return bodies, twins


def components(edges: Mapping[int, Iterable[int]]) -> dict[int, int]:
    """Strongly connected components, numbered so that edges lead to the same or a lower number (Tarjan 1972)."""
    number: dict[int, int] = {}
    low: dict[int, int] = {}
    component: dict[int, int] = {}
    stack: list[int] = []
    count = 0
    for root in edges:
        work = [] if root in number else [(root, iter(edges[root]))]
        for node, _ in work:
            number[node] = low[node] = len(number)
            stack.append(node)
        while work:
            node, onward = work[-1]
            for target in onward:
                if target not in number:
                    number[target] = low[target] = len(number)
                    stack.append(target)
                    work.append((target, iter(edges[target])))
                    break
                if target not in component:
                    low[node] = min(low[node], number[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == number[node]:
                    member = -1
                    while member != node:
                        member = stack.pop()
                        component[member] = count
                    count += 1
    return component
