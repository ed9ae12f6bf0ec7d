"""Formulas → the JSON texts of their values, as an NFA over characters.

What contains itself is unfolded up to a depth: a step from a formula into one that it is inside of costs a level, and below
level 0 stands nothing (or, for the `wider` texts, anything). "Any JSON value" is such a formula as well, and the same
one wherever it stands.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Callable

import numpy as np

from dgemma_constrain.automata.charset import ANY as ANY_CHARACTER
from dgemma_constrain.automata.charset import char
from dgemma_constrain.automata.dfa import DFA, compile_nfa, reduced
from dgemma_constrain.automata.graph import END, Assembly
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA, NOTHING, concat, literal, star, symbol
from dgemma_constrain.constraints.grammar.nesting import components
from dgemma_constrain.constraints.json_schema import constants, leaves
from dgemma_constrain.constraints.json_schema.alike import merge_alike
from dgemma_constrain.constraints.json_schema.arrays import ArrayShape
from dgemma_constrain.constraints.json_schema.exprs import ANY, Expr, name_of
from dgemma_constrain.constraints.json_schema.extraction import Source
from dgemma_constrain.constraints.json_schema.layout import Layout
from dgemma_constrain.constraints.json_schema.plan import Plan, Steps, plan_object
from dgemma_constrain.constraints.json_schema.plan_arrays import plan_array
from dgemma_constrain.constraints.json_schema.space import Space
from dgemma_constrain.constraints.json_schema.spelling import QUOTE, fragment, is_plain, quoted
from dgemma_constrain.errors import LimitExceeded

MAX_ARCS = 60_000  # of all plans together; each takes some states
MAX_STRUCTURED = 2_000  # formulas with arrays or objects; each takes some hundred states
ESCAPED = 1_000  # characters in names and strings; with more of them, spellings that nobody writes are left out
WRITTEN = 35_000  # the same, what is written in several places counted each time; with its spellings, 7 states each
LARGE = 4
NUMBER = 20  # so many characters stands a set of numbers for


class Outline:
    """What stands inside what: the plans of all formulas under one, and which of them contain themselves.

    loose: of more texts, since what no automaton can tell (see `distinct`) is not asked for
    """

    def __init__(self, space: Space, root: Expr, any_order: bool = False, loose: bool = False):
        self.space, self.root, self.any_order, self.loose = space, root, any_order, loose
        self.plans: dict[Expr, list[Plan]] = {}
        self.parts: dict[Expr, list[Expr]] = {}  # what stands inside, as often as it does
        self.constants: dict[Expr, DFA] = {}  # of listed arrays and objects that have no plans
        self._arcs = 0
        self._collect(root)
        alike = merge_alike(self.plans, self.parts, {expr: self._scalar(expr) for expr in self.plans})
        self.root = alike[root]
        self.parts = {expr: [alike[part] for part in self.parts[expr]] for expr in self.plans}
        self.merged = Counter(alike.values())  # how many places of the schema each formula stands for
        number = {expr: k for k, expr in enumerate(self.plans)}
        inside = {number[expr]: {number[part] for part in parts} for expr, parts in self.parts.items()}
        group = components(inside)
        size: dict[int, int] = {}
        for k in group.values():
            size[k] = size.get(k, 0) + 1
        self.group = {expr: group[k] for expr, k in number.items()}
        self.inner_first = sorted(self.plans, key=self.group.__getitem__)  # what a formula contains comes before it
        self.recursive = {
            expr: size[group[k]] > 1 or k in inside[k] for expr, k in number.items()
        }  # fmt: skip
        self.copies = {expr: 0 for expr in self.plans}  # how often each one is written into others
        for parts in self.parts.values():
            for part in parts:
                self.copies[part] += 1
        self.nested: dict[Expr, bool] = {}
        for expr in self.inner_first:
            self.nested[expr] = self.recursive[expr] or any(self.nested.get(part, False) for part in self.parts[expr])

    @cached_property
    def escapes(self) -> bool:
        """Whether names, strings and numbers are few enough to write each one in every way (see spelling), both as they stand
        in the schema and as often as they are written."""
        if self.constants:
            return False
        size = written = 0
        times = dict.fromkeys(self.plans, 0) | {self.root: 1}  # that a formula is written, recursion aside
        for expr in sorted(self.plans, key=self.group.__getitem__, reverse=True):  # what contains it comes first
            values, plans = self.space.values(expr), self.plans[expr]
            here = values.strings.states
            if values.numbers not in (leaves.NUMBERS, leaves.INTEGERS, leaves.NONE):
                here += NUMBER if values.numbers.states <= ESCAPED else values.numbers.states
            here += sum(piece.states for plan in plans for piece in plan.pieces() if isinstance(piece, DFA))
            here += sum(plan.steps.size for plan in plans if plan.steps)
            size, written = size + here * self.merged[expr], written + here * times[expr]
            for part in self.parts[expr]:
                if self.group[part] != self.group[expr]:
                    times[part] += times[expr]
        return size <= ESCAPED and written <= WRITTEN

    def _collect(self, root: Expr) -> None:
        agenda, structured = [root], 0
        for expr in agenda:
            if expr not in self.plans:
                self.plans[expr] = plans = self._plans(expr)
                self.parts[expr] = parts = [part for plan in plans for part in plan.exprs()]
                agenda += parts
                structured += bool(plans)
                if structured > MAX_STRUCTURED:
                    raise LimitExceeded(
                        f"more than {MAX_STRUCTURED:,} different arrays and objects (at {name_of(expr) or '/'}); "
                        "take the part of the schema that is needed"
                    )

    def _scalar(self, expr: Expr) -> tuple:
        """What a formula holds but for arrays and objects; equal for equal sets only."""
        v = self.space.values(expr)
        listed = v.listed_numbers, v.listed_strings
        return expr is ANY, self.constants.get(expr), v.null, v.booleans, v.numbers, v.strings, v.fractions, *listed

    def _plans(self, expr: Expr) -> list[Plan]:
        values = self.space.values(expr)
        found: list[Plan] = []
        if not values.arrays and not values.objects:
            return found
        self.space.writes(expr)
        words, shapes = constants.split(self.space, (*values.arrays, *values.objects))
        if words is not None:
            self.constants[expr] = words
        for shape in shapes:
            if isinstance(shape, ArrayShape):
                found.append(plan_array(self.space, shape, self.loose))
            else:
                found.append(plan_object(self.space, shape, self.any_order, self.loose))
            self._arcs += len(found[-1].arcs)
            if self._arcs > MAX_ARCS:
                raise LimitExceeded(
                    f"the {len(values.arrays) + len(values.objects):,} cases of this part, with those of others, need more "
                    f"than {MAX_ARCS:,} members or items (at {name_of(expr) or '/'}); list fewer, or join them into one"
                )
        return found

    def fits_nothing(self, scalar: Callable[[Expr], bool] | None = None) -> bool:
        """Whether every value of the root would contain another one without end: the least fixed point of what has a
        value, given that its parts have. `scalar` says which formulas have one that is no array or object."""
        scalar = scalar or self._has_scalar
        able: set[Expr] = set()
        before = -1
        while before < len(able) < len(self.plans):
            before = len(able)
            for expr in self.inner_first:
                if expr not in able and (scalar(expr) or any(p.leads(able) for p in self.plans[expr])):
                    able.add(expr)
        return self.root not in able

    def contradicts(self) -> bool:
        """Whether no value would fit the root even if one could contain others without end, and all strings that the
        schema allows were known: the greatest fixed point."""
        able, before = set(self.plans), -1
        while len(able) != before:
            before = len(able)
            able = {
                expr
                for expr in able
                if self._has_scalar(expr)
                or self.space.values(expr).all_strings is not leaves.NONE
                or any(plan.leads(able) for plan in self.plans[expr])
            }
        return self.root not in able

    def _has_scalar(self, expr: Expr) -> bool:
        values = self.space.values(expr)
        listed = values.null or values.booleans or values.strings is not leaves.NONE
        return bool(listed or expr in self.constants or values.numbers is not leaves.NONE)

    def count_any(self) -> int | None:
        """How many copies of "any JSON value" the texts have, where nothing else contains itself; otherwise None."""
        copies: dict[Expr, int] = {}
        for expr in self.inner_first:
            if expr is ANY:
                copies[expr] = 1
            elif self.recursive[expr]:
                return None
            else:
                copies[expr] = sum(copies[part] for part in self.parts[expr])
        return copies[self.root]

    @property
    def is_recursive(self) -> bool:
        return self.nested[self.root]


class Writer:
    """Writes each formula once per level (and per depth, if the layout minds)."""

    def __init__(
        self, outline: Outline, layout: Layout, limits: Limits, trap: NFA = NOTHING, source: Source | None = None
    ):
        self.outline, self.layout, self.limits, self.trap, self.source = outline, layout, limits, trap, source
        self.bound()
        self.missing: dict[str, None] = {}  # where the source has nothing that fits
        self._made: dict[tuple[Expr, int, int], NFA] = {}
        self._sizes: dict[Expr, int] = {}  # of the largest text of each formula

    def bound(self, states: int | None = None) -> None:
        """How many states a formula may take as it is laid down, and when it is deterministic: so many, or what the limits
        say, of which the minimal automaton may have 1 / LARGE."""
        self.most_laid = 2 * self.limits.states if states is None else states
        self.most_made = 3 * self.limits.states // (2 * LARGE) if states is None else states

    def text(self, level: int) -> NFA:
        """The texts with recursion up to a level. Raises LimitExceeded."""
        made, outer = Assembly(), self.layout.outer
        at = self._lay(made, made.lay(outer, 0), self.outline.root, level, 0)
        made.jump(made.lay(outer, at), END)
        return made.nfa()

    def dfa(self, level: int) -> DFA:
        """The same, minimal; of no more than limits.states / LARGE states, since a character takes some states over bytes,
        and each of those a row of the tables, and of half as many more before it is minimal."""
        whole = self.text(level)
        try:
            made = compile_nfa(whole, Limits(self.most_made, self.limits.seconds))
        except LimitExceeded as error:
            raise self._growing(self.largest(whole), error) from None
        if made.states > self.limits.states // LARGE:
            raise self._growing(self.largest(whole), None)
        return made

    def largest(self, whole: NFA) -> Expr:
        """The smallest formula with an eighth of all states, or the root: what to make smaller."""
        parts = [(size, expr) for expr, size in self._sizes.items() if 8 * size >= whole.states]
        return min(parts, key=lambda part: part[0], default=(0, self.outline.root))[1]

    def _lay(self, made: Assembly, source: int, expr: Expr, level: int, depth: int) -> int:
        """The texts of a formula, read from a state on. Gives the state after it.

        What is written more than once, or contains itself, is a fragment of its own.
        """
        if level < 0:
            return made.lay(self.trap, source)
        before = made.states
        if self.outline.copies[expr] > 1 or self.outline.recursive[expr]:
            end = made.lay(self._fragment(expr, level, depth), source)
        else:
            end = self._values(made, source, expr, level, depth)
        self._sizes[expr] = max(self._sizes.get(expr, 0), made.states - before)
        return end

    def _fragment(self, expr: Expr, level: int, depth: int) -> NFA:
        key = (expr, level if self.outline.nested[expr] else 0, depth)
        known = self._made
        if (
            expr is ANY and self.trap is NOTHING and self.source is None and expr is not self.outline.root
        ):  # the same in every schema
            known = _SHARED.setdefault((self.layout.kind, self.layout.indent), {})
        if key not in known:
            made = Assembly()
            made.jump(self._values(made, 0, expr, level, depth), END)
            whole = made.nfa()
            if self.outline.plans[expr] and self.outline.copies[expr] > 1:  # of the smallest form there is
                try:
                    whole = reduced(whole, Limits(self.most_made, self.limits.seconds))
                except LimitExceeded as error:
                    raise self._growing(expr, error) from None
            known[key] = whole
        return known[key]

    def fits_nothing(self) -> bool:
        """Whether there is no text at any level, because the source lacks something."""
        return self.outline.fits_nothing(
            lambda expr: expr in self.outline.constants or any(part is not NOTHING for part in self._scalars(expr))
        )

    def _scalars(self, expr: Expr) -> list[NFA]:
        """The texts of what is no array or object."""
        values = self.outline.space.values(expr)
        parts = [literal("null")] if values.null else []
        parts += [literal("true" if b else "false") for b in sorted(values.booleans)]
        if self.source is None:
            numbers, strings = values.numbers, values.strings
        else:
            numbers, strings = values.listed_numbers, values.listed_strings
            parts += self._from_source(self.source, expr)
        if numbers is not leaves.NONE:
            spelt = leaves.number_texts if self.outline.escapes else leaves.plain_number_texts
            if values.fractions is None:
                parts.append(spelt(numbers, self.limits))
            else:
                whole, others = leaves.meet(numbers, leaves.INTEGERS), leaves.meet(numbers, values.fractions)
                parts += [spelt(others, self.limits)] if others is not leaves.NONE else []
                parts += [leaves.whole_number_texts(whole)] if whole is not leaves.NONE else []
        if strings is not leaves.NONE:
            parts.append(quoted(strings, self.outline.escapes))
        return parts

    def _values(self, made: Assembly, source: int, expr: Expr, level: int, depth: int) -> int:
        end = made.state()
        try:
            parts = self._scalars(expr)
        except LimitExceeded as error:
            raise self._growing(expr, error) from None
        if expr in self.outline.constants:
            parts.append(constants.texts(self.outline.constants[expr], self.layout, depth))
        for part in parts:
            made.jump(made.lay(part, source), end)
        for plan in self.outline.plans[expr]:
            self._plan(made, source, end, expr, plan, level, depth)
        return end

    def _from_source(self, source: Source, expr: Expr) -> list[NFA]:
        """The numbers and strings of a formula that stand in the source."""
        values = self.outline.space.values(expr)
        parts = []
        if values.numbers is not values.listed_numbers:
            parts.append(source.numbers(values.numbers, self.limits))
        if values.strings is not values.listed_strings:
            parts.append(source.strings(None if values.strings is leaves.STRINGS else values.strings, self.limits))
            if parts[-1] is not NOTHING:
                parts[-1] = concat([QUOTE, parts[-1], QUOTE])
        others = values.null or values.booleans or self.outline.plans[expr]
        if parts and not others and all(part is NOTHING for part in parts):
            self.missing[name_of(expr) or "/"] = None
        return parts

    def _plan(self, made: Assembly, source: int, end: int, expr: Expr, plan: Plan, level: int, depth: int) -> None:
        """An array or object between two states, which are the plan's joints 0 and 1: no arc leads to the one or on from the
        other."""
        inside, before = self.layout.inner(depth), made.states
        nodes = len(plan.steps.offsets) - 1 if plan.steps else 0
        joints = [source, end, *(made.state() for _ in range(plan.joints - 2 - nodes))]
        if plan.steps:
            first = self._steps(made, plan.steps)
            joints += range(first, first + nodes)
        for start, pieces, target in plan.arcs:
            at = joints[start]
            for piece in pieces:
                if piece == '"':
                    at = made.lay(QUOTE, at)
                elif isinstance(piece, str):
                    at = made.lay(self.layout.mark(piece, depth), at)
                elif isinstance(piece, DFA):
                    at = made.lay(quoted(piece, self.outline.escapes), at)
                else:
                    down = self.outline.recursive[expr] and self.outline.group[piece] == self.outline.group[expr]
                    at = self._lay(made, at, piece, level - 1 if down else level, inside)
            made.jump(at, joints[target])
            if made.states - before > self.most_laid:
                raise self._growing(expr, None)

    def _steps(self, made: Assembly, steps: Steps) -> int:
        """Names letter by letter, as one fragment, and letters with several spellings between its states. Gives the first."""
        distinct = "".join(sorted(set(steps.letters)))
        points, read = (np.frombuffer(text.encode("utf-32-le"), np.int32) for text in (distinct, steps.letters))
        label, letters = np.searchsorted(points, read), tuple(map(char, distinct))
        nodes = len(steps.offsets) - 1
        source = np.repeat(np.arange(nodes), np.diff(steps.offsets))
        rows = np.stack([source, label, np.array(steps.targets, np.int64) - steps.first], 1).astype(np.int32)
        alone = np.array([is_plain(letter, self.outline.escapes) for letter in letters], bool)[label]
        first = made.beside(NFA(nodes, rows[alone], NOTHING.jumps, letters))
        for i, k, j in rows[~alone].tolist():
            made.jump(made.lay(fragment(letters[k], self.outline.escapes), first + i), first + j)
        return first

    def _growing(self, expr: Expr, error: LimitExceeded | None) -> LimitExceeded:
        if error is not None and "(at " in str(error):
            return error
        return LimitExceeded(
            f"the texts of this part need more than {self.limits.states // LARGE:,} states (at {name_of(expr) or '/'}); lower maxItems, "
            "maxLength or max_depth, list fewer values or properties, use fewer references, or raise Limits(states=…)"
        )


_SHARED: dict[tuple[str, int], dict[tuple[Expr, int, int], NFA]] = {}  # any JSON value, by layout
ANYTHING = star(symbol(ANY_CHARACTER))
