"""Formulas that have the same texts, since their plans are the same up to formulas that are alike themselves.

Dynamic references make a place anew for every way that leads to it, and a recursive schema stands once outside of its own
recursion: what is alike is written, and counted as a level, once. The coarsest such equivalence is that of the states of a
minimal automaton, and so is the algorithm: blocks are split until the parts of all members of a block are in the same
blocks; of a block that is split the largest piece keeps its number, so that a formula is looked at O(log n) times for
each of its parts (Hopcroft 1971; Paige & Tarjan 1987).
"""

from __future__ import annotations

from collections import Counter
from typing import Hashable, Mapping, Sequence

from dgemma_constrain.constraints.json_schema.exprs import Expr
from dgemma_constrain.constraints.json_schema.plan import Arc, Plan


def merge_alike(
    plans: dict[Expr, list[Plan]], parts: Mapping[Expr, Sequence[Expr]], scalars: Mapping[Expr, Hashable]
) -> dict[Expr, Expr]:
    """For each formula the first one that has the same texts, and `plans` without all others. parts: what stands in each;
    scalars: equal for formulas that are equal but for their arrays and objects."""
    sizes = {expr: (scalars[expr], *((plan.joints, len(plan.arcs)) for plan in some)) for expr, some in plans.items()}
    times = Counter(sizes.values())
    shapes = {
        expr: (size, tuple(map(_shape, plans[expr]))) if times[size] > 1 else size for expr, size in sizes.items()
    }
    blocks = _refined(shapes, parts)
    first: dict[int, Expr] = {}
    found = {expr: first.setdefault(block, expr) for expr, block in blocks.items()}
    if len(first) < len(plans):
        others = {expr: same for expr, same in found.items() if same is not expr}
        for expr in others:
            del plans[expr]
        for expr, some in plans.items():
            if not others.keys().isdisjoint(parts[expr]):
                for plan in some:
                    plan.arcs = [_with_pieces(arc, others) for arc in plan.arcs]
    return found


def _with_pieces(arc: Arc, others: Mapping[Expr, Expr]) -> Arc:
    pieces = arc.pieces
    if others.keys().isdisjoint(pieces):
        return arc
    return Arc(arc.source, tuple([others.get(piece, piece) for piece in pieces]), arc.target)


def _shape(plan: Plan) -> Hashable:
    """A plan but for which formulas stand in it."""
    arcs = ((i, j, *(None if isinstance(piece, Expr) else piece for piece in pieces)) for i, pieces, j in plan.arcs)
    steps = plan.steps
    return *arcs, steps and (steps.first, *steps.offsets, steps.letters, *steps.targets)


def _refined(shapes: dict[Expr, Hashable], parts: Mapping[Expr, Sequence[Expr]]) -> dict[Expr, int]:
    """The number of each formula's block."""
    numbers: dict[Hashable, int] = {}
    block = {expr: numbers.setdefault(shape, len(numbers)) for expr, shape in shapes.items()}
    if len(numbers) == len(block):
        return block
    members: list[set[Expr]] = [set() for _ in numbers]
    users: dict[Expr, list[Expr]] = {expr: [] for expr in block}
    for expr, inside in parts.items():
        members[block[expr]].add(expr)
        for part in dict.fromkeys(inside):
            users[part].append(expr)
    changed = {k: set(some) for k, some in enumerate(members)}  # members of blocks whose parts may have moved
    while changed:
        k, some = changed.popitem()
        same = members[k]
        if len(same) == 1:
            continue
        pieces: dict[tuple[int, ...], set[Expr]] = {}
        for expr in some:
            pieces.setdefault(tuple(block[part] for part in parts[expr]), set()).add(expr)
        rest = same - some  # these agree among themselves
        if rest:
            pieces.setdefault(tuple(block[part] for part in parts[next(iter(rest))]), set()).update(rest)
        if len(pieces) == 1:
            continue
        smaller = sorted(pieces.values(), key=len)[:-1]
        for piece in smaller:
            same -= piece
            block.update(dict.fromkeys(piece, len(members)))
            members.append(piece)
        for user in {user for piece in smaller for expr in piece for user in users[expr]}:
            changed.setdefault(block[user], set()).add(user)
    return block
