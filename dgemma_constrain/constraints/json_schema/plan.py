"""Shapes → small graphs whose arcs are marks, names and formulas: in which order the texts have what.

An object is a walk over (the next declared member, or the set of those used if any order will do), then over other members;
of arrays see `plan_arrays`.

A name may be written twice among the others, which no automaton over unboundedly many names can see. A parser keeps the
last. So that what it keeps is valid all the same: every member obeys its cell; where `needs` asks for one that fits,
later ones with such names must fit, too; and to `least` the others count for one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Hashable, Iterator, NamedTuple

from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.constraints.json_schema import distinct, leaves, objects
from dgemma_constrain.constraints.json_schema.exprs import NEVER, Expr
from dgemma_constrain.constraints.json_schema.objects import ObjectShape
from dgemma_constrain.errors import LimitExceeded

if TYPE_CHECKING:
    from dgemma_constrain.constraints.json_schema.space import Space

MAX_FREE = 8  # members that may stand in any order
MAX_JOINTS = 50_000
MANY = 20  # members whose names are read letter by letter (see menus)

Piece = str | DFA | Expr  # a mark (see layout), a set of names, a value


class Arc(NamedTuple):
    source: int
    pieces: tuple[Piece, ...]
    target: int


class Steps(NamedTuple):
    """Names that are read letter by letter, as tries.

    From joint first + k lead the letters offsets[k]:offsets[k+1], each to its target; size: letters of all names.
    """

    first: int
    offsets: list[int]
    letters: str
    targets: list[int]
    size: int


@dataclass
class Plan:
    """All ways from joint 0 to joint 1."""

    arcs: list[Arc] = field(default_factory=list)
    steps: Steps | None = None
    joints: int = 2
    _numbers: dict[object, int] = field(default_factory=dict)

    def joint(self, what: object) -> tuple[int, bool]:
        """The number of a joint, and whether it is new."""
        if what in self._numbers:
            return self._numbers[what], False
        self._numbers[what] = self.joints
        self.joints += 1
        return self._numbers[what], True

    def add(self, source: int, pieces: tuple[Piece, ...], target: int) -> None:
        self.arcs.append(Arc(source, pieces, target))

    def pieces(self) -> Iterator[Piece]:
        for arc in self.arcs:
            yield from arc.pieces

    def exprs(self) -> Iterator[Expr]:
        return (piece for piece in self.pieces() if isinstance(piece, Expr))

    def leads(self, able: set[Expr]) -> bool:
        """Whether there is a way by these formulas."""
        if able.issuperset(self.exprs()):  # then every joint is reached
            return any(arc.target == 1 for arc in self.arcs)
        onward: dict[int, list[int]] = {}
        for arc in self.arcs:
            if all(piece in able or not isinstance(piece, Expr) for piece in arc.pieces):
                onward.setdefault(arc.source, []).append(arc.target)
        reached = {0}
        agenda = [0]
        while agenda and 1 not in reached:
            joint = agenda.pop()
            new = onward.get(joint, [])
            if self.steps is not None and 0 <= (k := joint - self.steps.first) < len(self.steps.offsets) - 1:
                new = new + self.steps.targets[self.steps.offsets[k] : self.steps.offsets[k + 1]]
            new = set(new) - reached
            reached |= new
            agenda += new
        return 1 in reached

    def step(self, source: int, started: bool, pieces: tuple[Piece, ...], key: object, target: int) -> None:
        """From a joint, after a comma if something stands before, by pieces that are laid down once for each target."""
        at, fresh = self.joint(("at", key, target))
        if fresh:
            self.add(at, pieces, target)
        self.add(source, (",",) if started else (), at)


def check(space: Space, plan: Plan, cap: int) -> None:
    if plan.joints > MAX_JOINTS or cap > MAX_JOINTS:
        raise LimitExceeded(
            f"the texts of this part need more than {MAX_JOINTS:,} states for what they count (at {space.where() or '/'}); "
            "lower maxItems, minItems, maxContains or maxProperties"
        )


def plan_object(space: Space, shape: ObjectShape, any_order: bool, loose: bool = False) -> Plan:
    """loose: to `least`, a name that is written twice may count twice."""
    plan = Plan()
    if any(must and space.is_never(part) for _, part, must in shape.members):
        return plan  # which nobody could know when it was read, if the member contains what it stands in
    members = [member for member in shape.members if not space.is_never(member[1])]
    menus: dict[int, _Menu] = {}
    free = (shape.free or any_order) and 1 < len(members) <= MAX_FREE
    many = not free and len(members) > MANY
    last = frozenset(range(len(members))) if free else len(members)
    required = frozenset(k for k, member in enumerate(members) if member[2])
    cells = [(names, part) for names, part in shape.cells if part is not NEVER]
    if cells:
        taken = objects.declared(shape)
        cells = [(leaves.less(names, taken), part) for names, part in cells]
    cells = [(names, part) for names, part in cells if names is not leaves.NONE and not space.is_never(part)]
    twice, ascending = True, False  # whether the others count for one; whether their marks ascend
    if cells and shape.least > len(required) + 1:
        twice = False
        why = f"where two or more undeclared names must be there, these {distinct.WHY}"
        ascending = not loose and space.narrow(space.where(), "minProperties", why)
    groups = _marked(cells, ascending)
    begin = (frozenset() if free else 0, False, (0,) * len(shape.needs), 0, 0)
    first, _ = plan.joint(begin)
    plan.add(0, ("{",), first)
    agenda = [begin]

    def go(here: int, started: bool, pieces: tuple[Piece, ...], key: object, after: tuple | None, skip: bool) -> None:
        target, fresh = plan.joint(after)
        if fresh:
            agenda.append(after)
        if skip and many:
            menus[here] = _Menu(started, {}, target)
        elif skip:
            plan.add(here, (), target)
        elif many and isinstance(key[0], str):
            at, new = plan.joint(("at", key, target))
            if new:
                plan.add(at, ('"', ":", key[1]), target)
            menus[here].names.setdefault(key[0], []).append(at)
        else:
            plan.step(here, started, pieces, key, target)

    def counted(low: int, high: int, extra: bool) -> tuple[int, int]:
        return min(low + (not extra), shape.least), high + 1 if shape.most is not None else 0

    for state in agenda:
        where, started, bits, low, high = state
        here, _ = plan.joint(state)
        check(space, plan, 0)
        full = shape.most is not None and high >= shape.most
        others = isinstance(where, tuple)
        if not others:
            if many:
                menus[here] = _Menu(started, {})
            if not free:
                choices = [where] if where < last else []
            else:
                choices = sorted(last - where)
            for k in choices:
                name, part, must = members[k]
                onward = where | {k} if free else where + 1
                if not must and not free:
                    go(here, started, (), None, (onward, started, bits, low, high), True)
                if full:
                    continue
                for value, then in _needed(space, shape, name, part, bits) if bits else ((part, ()),):
                    if not space.is_never(value):
                        names = None if many else leaves.words(frozenset({name}))
                        after = (onward, True, then, *counted(low, high, False))
                        go(here, started, (names, ":", value), (name, value), after, False)
            ready = required <= where if free else where == last
            if not ready:
                continue
        missing = shape.least - low
        if all(bits) and missing <= (1 if others and twice else 0):
            plan.add(*((here, ("}",), 1) if started else (0, ("{}",), 1)))
        if full:
            continue
        for k, names, part in groups:
            if others and ascending and k <= where[1]:
                continue
            for some, value, then in _needed_others(space, shape, names, part, bits):
                if not space.is_never(value):
                    after = (("others", k), True, then, *counted(low, high, twice))
                    go(here, started, (some, ":", value), (some, value), after, False)
    if many:
        _lay(plan, menus)
    return plan


class _Menu(NamedTuple):
    """Which names may come next at a joint, and the joints behind each: its own, and those of another joint."""

    started: bool
    names: dict[str, list[int]]
    more: int | None = None


def _lay(plan: Plan, menus: dict[int, _Menu]) -> None:
    """Read the names that may come next as a trie.

    With an arc for each of n members that may be left out, what comes next is at n joints one of up to n names, which the
    subset construction would walk all at each. Instead, from the last joint on, a trie is the next one's with a name more:
    the nodes on the way of the name are new, all others are shared. So there are no more nodes than letters.
    """
    tries: dict[int, _Node] = {}
    ends: dict[int, int] = {}  # where a joint leads if no more of these names comes
    made: dict[Hashable, _Node] = {}
    none: _Node = {}
    size = 0
    for here, menu in reversed(menus.items()):  # a joint comes before those that it leads to
        trie = tries[here] = tries.get(menu.more, none)
        ends[here] = ends.get(menu.more, here)
        for name, behind in menu.names.items():
            key = id(trie), name, *behind
            if key not in made:
                made[key] = _with_name(trie, name, behind)
                size += len(name) + 1
            trie = tries[here] = made[key]
    reached = {target for _, _, target in plan.arcs}
    first, number = plan.joints, {id(none): plan.joints}
    agenda = [none]

    def joint(node: _Node) -> int:
        found = number.setdefault(id(node), first + len(agenda))
        if found == first + len(agenda):
            agenda.append(node)
        return found

    for here, menu in menus.items():
        if here in reached:
            if tries[here]:
                plan.add(here, (",", '"') if menu.started else ('"',), joint(tries[here]))
            if ends[here] != here and not menus[ends[here]].names:
                plan.add(here, (), ends[here])
    offsets, letters, targets = [0], [], []
    for node in agenda:
        plan.arcs += [Arc(number[id(node)], (), at) for at in node.get("", ())]
        onward = node
        if "" in node:
            onward = node.copy()
            del onward[""]
        letters += onward
        targets += map(joint, onward.values())
        offsets.append(len(targets))
    plan.joints += len(agenda)
    plan.steps = Steps(first, offsets, "".join(letters), targets, size)


_Node = dict  # letter: node; "" (at the end of a name): joints


def _with_name(trie: _Node, name: str, behind: list[int]) -> _Node:
    node = top = dict(trie)
    for letter in name:
        below = dict(node.get(letter, ()))
        node[letter] = below
        node = below
    node[""] = [*node.get("", ()), *behind]
    return top


def _marked(cells: list[tuple[DFA, Expr]], ascending: bool) -> list[tuple[int, DFA, Expr]]:
    """The cells, each with a number: cut by the marks of their names, if these are to ascend."""
    if not ascending:
        return [(0, names, part) for names, part in cells]
    cut = [
        (k, leaves.meet(names, mark), part) for k, mark in enumerate(distinct.string_marks()) for names, part in cells
    ]
    return [(k, names, part) for k, names, part in cut if names is not leaves.NONE]


def _needed(space: Space, shape: ObjectShape, name: str, part: Expr, bits: tuple[int, ...]):
    """What may stand under a declared name, and which needs are met then (1; 2: by another member)."""
    ways = [(part, ())]
    for (names, wanted), bit in zip(shape.needs, bits):
        same = [(value, (*then, bit)) for value, then in ways]
        if not bit and names.accepts(name):
            same += [(space.both(value, wanted), (*then, 1)) for value, then in ways]
        ways = same
    return ways


def _needed_others(space: Space, shape: ObjectShape, names: DFA, part: Expr, bits: tuple[int, ...]):
    """The same of other names, which are cut by the needs."""
    ways = [(names, part, ())]
    for (wanted_names, wanted), bit in zip(shape.needs, bits):
        fresh = []
        for some, value, then in ways:
            inside, outside = leaves.meet(some, wanted_names), leaves.less(some, wanted_names)
            met = (inside, space.both(value, wanted), (*then, bit or 2))
            if bit == 2:  # whatever is written again must do, too
                fresh += [met, (outside, value, (*then, bit))]
            elif bit:
                fresh.append((some, value, (*then, bit)))
            else:
                fresh += [met, (some, value, (*then, bit))]
        ways = [way for way in fresh if way[0] is not leaves.NONE]
    return ways
