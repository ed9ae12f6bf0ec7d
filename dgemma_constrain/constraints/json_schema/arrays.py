"""Sets of arrays: what stands at each place, how many there are, and how many of them fit something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterator

from dgemma_constrain.constraints.json_schema.exprs import ANY, NEVER, Expr

if TYPE_CHECKING:
    from dgemma_constrain.constraints.json_schema.space import Space

Count = tuple[int, Expr, int, int | None]  # (from this place on, so much fits this, at least, at most)


@dataclass(frozen=True)
class ArrayShape:
    """Arrays of `least` to `most` items (None: no bound): `prefix` says what the first ones are, `rest` the others.

    counts: how many of the items from some place on fit a formula; unique: no two are equal; repeats: some two are.
    """

    prefix: tuple[Expr, ...] = ()
    rest: Expr = ANY
    least: int = 0
    most: int | None = None
    counts: tuple[Count, ...] = ()
    unique: bool = False
    repeats: bool = False

    @property
    def size(self) -> int:
        return 1 + len(self.prefix)

    def exprs(self) -> Iterator[Expr]:
        yield from self.prefix
        yield self.rest
        yield from (part for _, part, _, _ in self.counts)

    def at(self, i: int) -> Expr:
        return self.prefix[i] if i < len(self.prefix) else self.rest


ALL_ARRAYS = ArrayShape()


def shapes(space: Space, shape: ArrayShape) -> list[ArrayShape]:
    """The shape as short as can be, or none if no array has it."""
    prefix, rest, least, most = list(shape.prefix), shape.rest, shape.least, shape.most
    counts = []
    for start, part, low, high in shape.counts:
        if part is ANY:
            least, most = max(least, start + low if low else 0), _lower(most, None if high is None else start + high)
        elif low or high is not None:
            counts.append((start, part, low, high))
        if (high is not None and low > high) or (low and part is NEVER):
            return []
    counts = list(dict.fromkeys(counts))
    if NEVER in prefix:
        most = _lower(most, prefix.index(NEVER))
    elif rest is NEVER:
        most = _lower(most, len(prefix))
    if most is not None:
        prefix = prefix[:most]
        if len(prefix) == most:
            rest = NEVER
    if most is not None and least > most:
        return []
    while prefix and prefix[-1] is rest:
        prefix.pop()
    if any(space.is_never(part) for part in dict.fromkeys(prefix[:least])):
        return []
    if least > len(prefix) and space.is_never(rest):
        return []
    if any(low and space.is_never(part) for _, part, low, _ in counts):
        return []
    if shape.repeats and (shape.unique or (most is not None and most < 2)):
        return []
    unique = shape.unique and (most is None or most > 1)
    return [ArrayShape(tuple(prefix), rest, least, most, tuple(counts), unique, shape.repeats)]


def intersect(space: Space, a: ArrayShape, b: ArrayShape) -> list[ArrayShape]:
    long = max(len(a.prefix), len(b.prefix))
    return shapes(
        space,
        ArrayShape(
            tuple(space.both(a.at(i), b.at(i)) for i in range(long)),
            space.both(a.rest, b.rest),
            max(a.least, b.least),
            _lower(a.most, b.most),
            a.counts + b.counts,
            a.unique or b.unique,
            a.repeats or b.repeats,
        ),
    )


def complement(space: Space, a: ArrayShape) -> Iterator[ArrayShape]:
    """An item that does not fit, too few or too many, a count that is wrong, or two items that are equal or not."""
    found = [
        ArrayShape((ANY,) * i + (space.non(part),), ANY, i + 1) for i, part in enumerate(a.prefix) if part is not ANY
    ]
    if a.rest is not ANY:
        found.append(ArrayShape(counts=((len(a.prefix), space.non(a.rest), 1, None),)))
    if a.least:
        found.append(ArrayShape(most=a.least - 1))
    if a.most is not None:
        found.append(ArrayShape(least=a.most + 1))
    for start, part, low, high in a.counts:
        if low:
            found.append(ArrayShape(counts=((start, part, 0, low - 1),)))
        if high is not None:
            found.append(ArrayShape(counts=((start, part, high + 1, None),)))
    if a.unique:
        found.append(ArrayShape(repeats=True))
    if a.repeats:
        found.append(ArrayShape(unique=True))
    for shape in found:
        yield from shapes(space, shape)


def _lower(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)
