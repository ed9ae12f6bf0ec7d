"""Constraint + vocabulary = a compiled constraint, which makes canvases, and is kept on disk by content."""

from __future__ import annotations

import hashlib
import time
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Mapping

import numpy as np

from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.automata.encodings import utf8
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.canvas import store
from dgemma_constrain.canvas.canvas import Canvas, check_pins
from dgemma_constrain.canvas.graph import Graph, make_graph
from dgemma_constrain.canvas.header import with_header
from dgemma_constrain.canvas.nested import Nested
from dgemma_constrain.canvas.pushdown import Pushdown, make_pushdown
from dgemma_constrain.canvas.searched import Searched
from dgemma_constrain.constraints.base import Constraint, as_constraint
from dgemma_constrain.constraints.explain import short
from dgemma_constrain.constraints.grammar import plain
from dgemma_constrain.errors import ConstraintError, EmptyConstraint, LimitExceeded
from dgemma_constrain.tokens.lift import TokenAutomaton, lift
from dgemma_constrain.tokens.lift_network import TokenNetwork, lift_network
from dgemma_constrain.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    from dgemma_constrain.constraints.grammar.machine import GrammarMachine

NETWORK_STATES, NETWORK_SECONDS = 600, 2.0  # between two tokens, and to lift: a larger network has too large a chart
SLOW = 0.1  # seconds: a lift that took longer is worth keeping on disk


class Compiled:
    """A constraint lifted to a vocabulary. Immutable; share it among canvases, batches and threads.

    constraint is None for one that was loaded from a file. With a machine the automaton is a cover, and canvases search.
    """

    def __init__(
        self,
        automaton: TokenAutomaton,
        vocabulary: Vocabulary,
        constraint: Constraint | None = None,
        exact: bool = True,
        machine: GrammarMachine | None = None,
    ):
        self.automaton, self.vocabulary, self.constraint, self._exact = automaton, vocabulary, constraint, exact
        self.machine = machine
        self._graphs: dict[str, Graph] = {}
        self._pushdowns: dict[str, Pushdown] = {}

    @cached_property
    def exact(self) -> bool:
        """Whether the automaton is all of the constraint; otherwise what is nested more deeply is left out."""
        if self.machine is not None:
            return False
        return self._exact if self.constraint is None else self.constraint.depth() is None

    @cached_property
    def wider(self) -> Compiled | None:
        """One that lets through whatever is nested too deeply, where that is known: what it refuses is refused rightly."""
        if self.exact or self.constraint is None:
            return None
        try:
            return compile(self.constraint.wider(), self.vocabulary)
        except LimitExceeded:
            return None

    @cached_property
    def network(self) -> TokenNetwork | None:
        """The constraint to any depth, where this one is exact up to a depth only and a network of it is small."""
        if self.exact or self.constraint is None or self.machine is not None:
            return None
        try:
            network = self.constraint.network()
            if network is None or len(network.steps) > 2 * NETWORK_STATES:
                return None
            return lift_network(network, self.vocabulary, Limits(NETWORK_STATES, NETWORK_SECONDS))
        except LimitExceeded:
            return None

    def _nested(self, shallow: Canvas | None, *arguments) -> Nested | None:
        """A canvas of any depth, if there is one that isn't too large. arguments: as of Nested, from `pinned` on."""
        if self.network is None:
            return None
        tail = arguments[3]
        if tail not in self._pushdowns:
            self._pushdowns[tail] = make_pushdown(self.network, self.vocabulary, tail)
        canvas = Nested(self, self._pushdowns[tail], shallow, *arguments)
        return canvas if canvas.is_small or canvas._shallow is not None else None

    @cached_property
    def deeper(self) -> Compiled | None:
        """One for all texts, to search in, where this one is exact up to a depth only."""
        if self.exact or self.constraint is None or self.machine is not None:
            return None
        try:
            search = self.constraint.searched()
        except ConstraintError:  # it is too large, or none can be
            return None
        return None if search is None else _compiled(*search, self.vocabulary, self.constraint, Limits(), True)

    def canvas(
        self,
        length: int,
        pinned: Mapping[int, int] | None = None,
        more_tokens: int = 0,
        tail: str = "end",
        after: list[int] | None = None,
    ) -> Canvas:
        """A canvas of exactly `length` tokens.

        pinned: {position: id}. more_tokens: the text may be unfinished if so many more tokens can finish it.
        tail: what may follow the first end token: "end" (end and pad ids, scored) or "any" (anything, unread).
        after: ids of earlier canvases that this one goes on from (no end token among them).
        Raises ConstraintError for arguments out of range, and if `after` is no beginning of a valid text.
        """
        for name, value in (("length", length), ("more_tokens", more_tokens)):
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 0:
                raise ConstraintError(f"{name} must be a whole number from 0 up, not {value!r}")
        if tail not in ("end", "any"):
            raise ConstraintError(f'tail must be "end" or "any", not {tail!r}')
        if tail not in self._graphs:
            self._graphs[tail] = make_graph(self.automaton, self.vocabulary, tail)
        pinned = dict(pinned or {})
        check_pins(pinned, length, len(self.vocabulary))
        after = list(after or [])
        try:
            start = self.state_after(after)
        except ConstraintError:
            nested = self._nested(None, pinned, int(length), int(more_tokens), tail, after)
            if nested is not None and nested.goes_on():
                return nested
            if nested is not None or self.deeper is None:
                raise
            return self.deeper.canvas(length, pinned, more_tokens, tail, after)
        if self.machine is not None and not self.machine.reads(self.vocabulary.decode_bytes(after)):
            raise ConstraintError("the ids before this canvas are no beginning of a text of this grammar")
        return self.place(pinned, int(length), int(more_tokens), start, tail, after)

    def place(
        self,
        pinned: Mapping[int, int],
        length: int,
        more_tokens: int,
        start: int,
        tail: str,
        after: list[int],
        final: np.ndarray | None = None,
    ) -> Canvas:
        """The canvas of arguments that were checked. start: the state after the ids in `after`; final: see `Canvas.head`."""
        kind = Canvas if self.machine is None else Searched
        canvas = kind(self, self._graphs[tail], pinned, length, more_tokens, start, tail, after, final)
        if self.exact or final is not None:
            return canvas
        nested = self._nested(canvas, pinned, length, more_tokens, tail, after)
        if nested is not None or canvas.has_paths or self.deeper is None:
            return nested or canvas
        return self.deeper.canvas(length, pinned, more_tokens, tail, after)

    def state_after(self, ids: list[int]) -> int:
        """The automaton's state after these ids. Raises ConstraintError if no valid text begins so."""
        a, state = self.automaton, 0
        for n, token in enumerate(ids):
            row = a.symbols[a.offsets[state] : a.offsets[state + 1]]
            c = a.classes[token]
            at = int(np.searchsorted(row, c))
            if c < 0 or at == len(row) or row[at] != c:
                raise ConstraintError(
                    f"id {token}, number {n} of the ids before this canvas, does not fit the constraint"
                )
            state = int(a.targets[a.offsets[state] + at])
        return state

    def behind_header(self, end_id: int, start_id: int | None = None) -> Compiled:
        """The same constraint on what follows a header: ordinary tokens, whichever, up to the special id `end_id`.

        For models that open with a channel or a thinking block. With `start_id`, also special, the header begins so, and may
        be left out. Decode what follows `end_id`; the header counts as part of the canvas's text otherwise.
        Raises ConstraintError for ids that aren't special, and for a grammar that has to be searched.
        """
        if self.machine is not None:
            raise ConstraintError(
                "a grammar that is searched can't stand behind a header; end the header in the prompt instead"
            )
        automaton = with_header(self.automaton, self.vocabulary, end_id, start_id)
        return Compiled(automaton, self.vocabulary, exact=self.exact)

    def save(self, path: str | PathLike) -> None:
        """Write to a file that `load_compiled` reads with the same vocabulary."""
        machine = None if self.machine is None else plain.to_arrays(self.machine)
        store.write(path, self.automaton, self.vocabulary.fingerprint, self.exact, machine)


def compile(
    constraint: Constraint | str, vocabulary: Vocabulary, limits: Limits = Limits(), cache: bool = True
) -> Compiled:
    """Lift a constraint to a vocabulary.

    Slow lifts are kept in a folder of the user's cache, found again by the content of the automaton and the vocabulary;
    `cache=False` neither reads nor writes it. Raises EmptyConstraint if no text satisfies the constraint, LimitExceeded.
    """
    constraint = as_constraint(constraint)
    if not isinstance(vocabulary, Vocabulary):
        raise ConstraintError(
            f"compile needs a Vocabulary, not {type(vocabulary).__name__}; see Vocabulary.from_tokenizer"
        )
    language = constraint.language(limits)
    if language.machine is None:
        constraint.check_not_empty()
    elif language.automaton.is_empty:
        raise EmptyConstraint(f"no text satisfies {short(constraint)}")
    return _compiled(*language, vocabulary, constraint, limits, cache)


def _compiled(
    dfa: DFA, machine, vocabulary: Vocabulary, constraint: Constraint, limits: Limits, cache: bool
) -> Compiled:
    name = _name(dfa, vocabulary.fingerprint)
    automaton = store.read_cached(name, vocabulary) if cache else None
    if automaton is None:
        began = time.perf_counter()
        try:
            automaton = lift(utf8(dfa, limits), vocabulary, constraint.lifting(limits))
        except LimitExceeded as error:
            raise constraint.grown(error, limits) from None
        if cache and time.perf_counter() - began > SLOW:
            store.write_cached(name, automaton, vocabulary.fingerprint)
    return Compiled(automaton, vocabulary, constraint, machine=machine)


def load_compiled(path: str | PathLike, vocabulary: Vocabulary) -> Compiled:
    """A compiled constraint from a file. Raises CacheError for one that is corrupt or made for another vocabulary."""
    automaton, exact, machine = store.read(path, vocabulary)
    return Compiled(automaton, vocabulary, exact=exact, machine=machine)


def _name(dfa: DFA, fingerprint: str) -> str:
    digest = hashlib.sha256(f"{store.FORMAT} {fingerprint}".encode())
    for array in (dfa.alphabet.cuts, dfa.alphabet.classes, dfa.offsets, dfa.symbols, dfa.targets, dfa.accept):
        digest.update(array.tobytes())
    return digest.hexdigest()
