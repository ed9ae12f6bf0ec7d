"""Array shapes → small graphs (see `plan`): walks over how many items there are, how many of each count, and which values
were used if they must be unique."""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING

from dgemma_constrain.constraints.json_schema import distinct, leaves
from dgemma_constrain.constraints.json_schema.arrays import ArrayShape
from dgemma_constrain.constraints.json_schema.exprs import Expr
from dgemma_constrain.constraints.json_schema.plan import MAX_JOINTS, Plan, check
from dgemma_constrain.constraints.json_schema.values import of_type

if TYPE_CHECKING:
    from dgemma_constrain.constraints.json_schema.space import Space

MAX_SETS = 200_000  # characters of an array without repetition whose values, told apart, may stand in any order
MAX_LISTED = 60  # values that are told apart, in one order


def plan_array(space: Space, shape: ArrayShape, loose: bool = False) -> Plan:
    """loose: items may be equal, or not, whatever the shape says of it."""
    plan = Plan()
    lows = [low for _, _, low, _ in shape.counts]
    starts = [start for start, _, _, _ in shape.counts]
    cap = max(len(shape.prefix), shape.least, shape.most or 0, 1, *starts)
    if (
        shape.repeats
        and not loose
        and space.narrow(space.where(), "uniqueItems", "arrays with equal items are left out")
    ):
        return plan
    values, ascending = _distinguishable(space, shape) if shape.unique and not loose else (None, False)
    begin = (0, (0,) * len(lows), -1 if ascending else frozenset())
    first, _ = plan.joint(begin)
    plan.add(0, ("[",), first)
    agenda = [begin]
    for state in agenda:
        i, counts, used = state
        here, _ = plan.joint(state)
        if i >= shape.least and all(c >= low for c, low in zip(counts, lows)):
            if i:
                plan.add(here, ("]",), 1)
            else:
                plan.add(0, ("[]",), 1)
        check(space, plan, cap)
        if i == shape.most:
            continue
        for item, then in _counted(space, shape, i, counts):
            for part, more in [(item, used)] if values is None else _unused(space, item, values, used):
                if not space.is_never(part):
                    after = (min(i + 1, cap), then, more)
                    target, fresh = plan.joint(after)
                    if fresh:
                        agenda.append(after)
                    plan.step(here, i > 0, (part,), part, target)
    return plan


def _counted(space: Space, shape: ArrayShape, i: int, counts: tuple[int, ...]) -> list[tuple[Expr, tuple[int, ...]]]:
    """What may stand at place i, and how the counts go on. To reach a lower bound an item need not be counted; for an
    upper one, all that fit are."""
    ways = [(shape.at(i), ())]
    for (start, part, low, high), count in zip(shape.counts, counts):
        fresh = []
        for item, then in ways:
            if start > i or (high is None and count >= low):
                fresh.append((item, (*then, count)))
                continue
            if high is None or count < high:
                fresh.append((space.both(item, part), (*then, count + 1)))
            fresh.append((item if high is None else space.both(item, space.non(part)), (*then, count)))
        ways = fresh
    return ways


def _distinguishable(space: Space, shape: ArrayShape) -> tuple[tuple[Expr, ...] | None, bool]:
    """Disjoint sets, out of each of which no more than one item comes, and whether items stand in the order of these sets;
    None if no two items can be equal anyway. Few values are sets of their own, in any order; see `distinct` for others."""
    places = [shape.at(i) for i in range(len(shape.prefix) if shape.most is None else min(shape.most, 64))]
    if shape.most is not None and shape.most <= 64:
        pairs = ((a, b) for k, a in enumerate(places) for b in places[:k])
        if all(a is not b and space.disjoint(a, b) for a, b in pairs):
            return None, False
    parts = list(dict.fromkeys([*shape.prefix, shape.rest] if shape.most is None else places))
    found: dict[Expr, None] = {}
    for part in parts:
        some = finite(space, part)
        if some is None:
            why = f"items that must all be different {distinct.WHY}, unless they are one of up to {MAX_LISTED} values"
            if not space.narrow(space.where(), "uniqueItems", why):
                return None, False
            return distinct.marks(space, parts), True
        found.update(dict.fromkeys(some))
    if _fit_in_any_order(space, list(found), shape.most):
        return tuple(found), False
    why = f"of {len(found)} values that must all be different, all stand in the order in which they are listed"
    return (tuple(found), True) if space.narrow(space.where(), "uniqueItems", why) else (None, False)


def _fit_in_any_order(space: Space, values: list[Expr], most: int | None) -> bool:
    """Whether the arrays of distinct values are few enough. What may follow depends on the set that was used, so each value
    is written once for each set that it is not in, of fewer than `most`."""
    count = len(values)
    copies = 0
    for used in range(count if most is None else min(count, most)):
        copies += comb(count - 1, used)
        if copies * count > MAX_JOINTS // 2:  # the other half are the sets
            return False
    known = map(space.values, values)
    return copies * sum(v.strings.states + v.numbers.states - 2 for v in known) <= MAX_SETS


def finite(space: Space, part: Expr) -> list[Expr] | None:
    """The values of a formula, one by one; None if they are too many, or arrays or objects are among them."""
    values = space.values(part)
    if values.arrays or values.objects:
        return None
    texts, counts = leaves.listed(values.strings, MAX_LISTED), leaves.listed(values.numbers, MAX_LISTED)
    if texts is None or counts is None:
        return None

    def one(key: object, **only) -> Expr:
        return space.place(("one", key), lambda: [of_type(**only)])

    found = [one("null", null=True)] if values.null else []
    found += [one(b, booleans=frozenset({b})) for b in values.booleans]
    found += [one(("string", text), strings=leaves.words(frozenset({text}))) for text in texts]
    return found + [one(("number", text), numbers=leaves.words(frozenset({text}))) for text in counts]


def _unused(space: Space, item: Expr, values: tuple[Expr, ...], used: frozenset | int):
    """What may stand next, and what is used then: a set, or where they ascend the last one."""
    if isinstance(used, int):
        ways = [(space.both(item, values[k]), k) for k in range(used + 1, len(values))]
    else:
        ways = [(space.both(item, value), used | {value}) for value in values if value not in used]
    return [(part, more) for part, more in ways if not space.is_never(part)]
