"""A canvas of a language that no finite automaton holds: see `search`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Callable, Iterable, Mapping, NamedTuple

import numpy as np

from dgemma_constrain.canvas import arcs, dynamic, emissions
from dgemma_constrain.automata.remainder import GROW
from dgemma_constrain.canvas.canvas import Canvas, Completion, check_pins, scale_of
from dgemma_constrain.canvas.guide import OFF, Guide, guide_of, no_guide
from dgemma_constrain.canvas.search import Cover, accepting, choose, extend, new_layer, new_scratch
from dgemma_constrain.errors import Infeasible, LimitExceeded

if TYPE_CHECKING:
    import torch


class Effort(NamedTuple):
    """How hard a search tries: nodes at each boundary, arcs of each node (where there are so many), tokens of each; and
    whether it asks what a node can still read (see `guide`)."""

    width: int
    transitions: int
    members: int
    guided: bool = True


NARROW, WIDE, WIDEST = Effort(16, 24, 4), Effort(128, 32, 4), Effort(512, 32, 4)
QUICK = NARROW._replace(guided=False)
SCORED = (QUICK, Effort(128, 96, 8))  # by logits, one after the other until something is found
BLIND = (QUICK, NARROW, *4 * (WIDE,), WIDEST)  # by chance, for any text at all
ASKED = 1 << 17  # a search may know so many bytes of costs for each node of its width (see `guide`)
DRAWS = 8  # from the cover, for an exact sample


class Scores(NamedTuple):
    """What a search is guided by.

    emission float64[L, K+1]: of the best member of each class. row: gives the logits of a position, None where any
    member will do; partial, two (of as many positions as there are logits of), scale, noise: see `search`. best: gives the
    best members of given classes, None where these scores are not the question.
    """

    emission: np.ndarray
    row: Callable[[int], np.ndarray] | None
    partial: np.ndarray | None
    two: np.ndarray | None
    scale: float
    noise: int
    best: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None


class Found(NamedTuple):
    """The ids of a text, up to its end token, or to its end behind the canvas; and its value."""

    ids: list[int]
    value: float


class Searched(Canvas):
    """As `Canvas`, with these differences.

    `feasible` is None where the search ended without an answer. `best` is a string of the language, always; `proved`
    says whether it is the best one. `sample` draws from the cover, where that can be done exactly, until a string is in
    the language: an exact sample. After DRAWS of them, and on canvases that a text need not end on, it is the best
    string under noise instead (perturb and MAP): a string of the language, but not exactly in proportion.
    `Completion.exact` says which it was. `allowed`, `choices`, `mask_`, `marginals` and `posterior` are those of the
    cover: nothing that is possible is left out, but more may be in.

    whole: the canvas that this one is the beginning of (see `head`), or None. witness: ids that are known to fit, to
    the end of the whole canvas or beyond.
    """

    is_finite = False

    def __init__(self, *arguments, witness: list[int] | None = None, whole: Searched | None = None):
        super().__init__(*arguments)
        self._whole = self if whole is None else whole.with_pins({**self._later(whole), **self.pinned})
        agrees = witness is not None and all(witness[i] == t for i, t in self._whole.pinned.items())
        self._witness = witness if agrees else None

    def _later(self, whole: Searched) -> dict[int, int]:
        return {i: t for i, t in whole.pinned.items() if i >= self.length}

    def with_pins(self, pinned: Mapping[int, int]) -> Searched:
        check_pins(pinned, self.length, len(self.compiled.vocabulary))
        return Searched(
            self.compiled, self._graph, pinned, self.length, self.more_tokens, self._start, self.tail, self._after,
            self._planned, witness=self._witness, whole=None if self._whole is self else self._whole,
        )  # fmt: skip

    def head(self, size: int) -> Searched:
        """As of any canvas; its strings are searched for as beginnings of this one's."""
        plain = super().head(size)
        return Searched(
            self.compiled, self._graph, plain.pinned, size, plain.more_tokens, self._start, self.tail, self._after,
            plain._planned, witness=self._witness, whole=self,
        )  # fmt: skip

    def behind(self, ids: list[int]) -> list[int] | None:
        known = self._witness is not None and self._witness[: self.length] == ids
        return self._witness[self.length :] if known else None

    def knowing(self, ids: list[int] | None) -> Searched:
        if ids is not None and self._whole is self and all(ids[i] == t for i, t in self.pinned.items() if i < len(ids)):
            self._witness = self._filled(Found(ids, 0.0), np.zeros((self.length, self._graph.wild + 1)), None)
        return self

    @cached_property
    def feasible(self) -> bool | None:
        if not self.has_paths:
            return False
        if self._witness is not None:
            return True
        possible = self._whole._possible
        found, lost = self._search_blindly(possible)
        if found is not None:
            self._witness = self._whole._filled(found, np.where(possible, 0.0, -np.inf), None)
            return True
        return False if lost == -np.inf or self._is_refuted() else None

    @property
    def _possible(self) -> np.ndarray:
        """Whether pins allow each class at each position, bool[L, K+1]."""
        pins = self._pins[:, None]
        possible = (pins == dynamic.FREE) | (np.arange(self._graph.wild + 1) == pins)
        possible[:, -1] = True
        possible[:, :-1] &= np.diff(self._graph.classes.offsets) > 0  # there may be no pad token
        return possible

    def _search_blindly(self, possible: np.ndarray, reduced=None) -> tuple[Found | None, float]:
        """Any text of these classes (bool[L, K+1]), with the members that the logits prefer; and as `_search`.

        By chance every class is the best one somewhere.
        """
        for seed, effort in enumerate(BLIND, 1):
            chance = np.where(possible, np.random.default_rng(seed).gumbel(size=possible.shape), -np.inf)
            chance[:, -1] = 0.0
            guide = Scores(chance, None, None, None, 1.0, seed)
            if reduced is not None:
                guide = Scores(chance, reduced.row, reduced.partial, reduced.ids, reduced.scale, 0)
            found, lost = self._search(guide, [effort])
            if found is not None or lost == -np.inf:
                break
        return found, lost

    def _is_refuted(self) -> bool:
        return super()._is_refuted() if self._whole is self else self._whole._is_refuted()

    def check(self) -> None:
        if not self.feasible:
            raise Infeasible(self._reason())

    def _reason(self) -> str:
        if self.feasible is None:
            return "no text was found that fits, nor was it proved that there is none; pin less, or take another length"
        if not self.has_paths:
            return super()._reason()
        return "no text of this grammar fits the length and the pins; pin less, or take another length"

    def best(self, logits: torch.Tensor) -> Completion:
        """A valid string of high probability: see `Completion.proved`. Raises Infeasible with the reason,
        LogitsError."""
        super().check()
        reduced = self._reduce(logits, emissions.BEST, 1.0)
        return self._found(reduced, reduced, reduced.emission, 0)

    def sample(
        self, logits: torch.Tensor, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Completion:
        import torch

        scale = scale_of(temperature)
        if scale is None:
            return self.best(logits)
        super().check()
        if self._whole is self and not self.more_tokens:
            posterior = self._posterior(logits, temperature)
            for ids, read in (posterior.draw(generator) for _ in range(DRAWS)):
                if self._is_text(ids.tolist()):
                    self._witness = ids.tolist()
                    return self._drawn(logits, temperature, posterior, ids, read)
        reduced = self._reduce(logits, emissions.SUM, scale)
        plain = self._reduce(logits, emissions.MAX, 1.0)
        uniform = torch.rand(reduced.emission.shape, dtype=torch.float64, generator=generator).numpy()
        noise = int(torch.randint(1, 2**40, (1,), generator=generator))
        # The largest of several perturbed values is their log-sum, perturbed: so classes are perturbed as wholes.
        perturbed = reduced.emission - np.log(-np.log(uniform.clip(1e-300, 1 - 1e-16)))
        perturbed[:, -1] = reduced.emission[:, -1]
        completion = self._found(reduced, plain, perturbed, noise)
        completion.exact = False
        return completion

    def _is_text(self, ids: list[int]) -> bool:
        """Whether what stands before the first end token is a text of the language."""
        machine = self.compiled.machine
        with machine.lock:
            machine.tidy()
            return self._accepts(machine, ids[: self.compiled.vocabulary.text_length(ids)])

    def _accepts(self, machine, ids: list[int]) -> bool:
        """Whether the machine takes these ids after those before the canvas; not, if they are too ambiguous to follow
        up."""
        try:
            config = machine.read(machine.start, self.compiled.vocabulary.decode_bytes([*self._after, *ids]))
            return config >= 0 and machine.accepts(config)
        except LimitExceeded:
            return False

    def _found(self, reduced, plain, emission: np.ndarray, noise: int) -> Completion:
        best = None if noise else reduced.best_members
        scores = Scores(emission, reduced.row, reduced.partial, reduced.ids, reduced.scale, noise, best)
        found, lost = self._search(scores, SCORED)
        proved = found is not None and not noise and lost <= found.value + 1e-9
        if found is None and self._witness is None:
            self.check()
        if found is None and not np.isfinite(plain.log_softmax(np.array(self._witness[: self.length], np.int64))).all():
            found, _ = self._search_blindly(self._padded(reduced.emission) > -np.inf, reduced)
            self._check_weight(-np.inf if found is None else found.value)
        if found is not None:
            self._witness = self._whole._filled(found, self._padded(emission), reduced)
        ids = np.array(self._witness[: self.length], np.int64)
        ends = np.isin(ids, self.compiled.vocabulary.eos_ids)
        read = self.length if self.tail == "end" or not ends.any() else int(ends.argmax()) + 1
        score = float(plain.log_softmax(ids)[:read].sum())
        completion = Completion(ids.tolist(), score)
        completion.proved = proved
        return completion

    def _padded(self, emission: np.ndarray) -> np.ndarray:
        """Emissions of the whole canvas; what lies behind this one costs nothing."""
        return np.concatenate([emission, np.where(self._whole._possible[len(emission) :], 0.0, -np.inf)])

    def _filled(self, found: Found, emission: np.ndarray, reduced) -> list[int]:
        """All ids of the canvas: those of a text, the end token and the tail after it; or of a text beyond it.

        reduced: the logits, of the first positions or of none.
        """
        ids = list(found.ids)
        wild = self._graph.wild
        for i in range(len(ids), self.length):
            if self._pinned[i] >= 0:
                ids.append(int(self._pinned[i]))
                continue
            first = i == len(found.ids)
            c = wild if self.tail == "any" and not first else wild - 2
            if self.tail == "end" and not first and emission[i, wild - 1] > emission[i, c]:
                c = wild - 1
            members = self._graph.classes.members[slice(*self._graph.classes.offsets[c : c + 2])] if c != wild else None
            if reduced is None or i >= len(reduced.normaliser):
                ids.append(int(members[0]) if members is not None and len(members) else 0)
            else:
                row = reduced.row(i)
                ids.append(int(row.argmax() if members is None else members[row[members].argmax()]))
        return ids

    def _search(self, scores: Scores, efforts: Iterable[Effort]) -> tuple[Found | None, float]:
        """A text, and the largest value that was left aside."""
        if self._whole is not self:
            return self._whole._search(scores._replace(emission=self._padded(scores.emission), best=None), efforts)
        weights = arcs.label_best(self._graph.labels, scores.emission)
        value = self._best_values(weights)
        if self.length:
            self._check_weight(value[0])
        machine = self.compiled.machine
        with machine.lock:
            machine.tidy()
            found, lost = self._best_of_cover(machine, scores, weights, value), -np.inf
            for effort in efforts:
                if found is not None:
                    break
                guide = self._guide if effort.guided else no_guide(self.length + self.more_tokens)
                guide.forget()
                found, lost = self._beam(machine, scores, weights, value, effort, guide)
                if lost == -np.inf:
                    break
        return found, lost

    @cached_property
    def _guide(self) -> Guide:
        free = np.full(self.more_tokens, -1)
        return guide_of(self.compiled.machine, self.compiled.vocabulary, np.append(self._pinned, free), self.tail)

    def _best_of_cover(self, machine, scores: Scores, weights: np.ndarray, value: np.ndarray) -> Found | None:
        """The best string of the cover, if it is in the language: then it is the best of all."""
        if scores.best is None or self.more_tokens:
            return None
        path = self._sweep(dynamic.best_path, weights, value, self._start)
        path = arcs.best_classes(self._graph.labels, scores.emission, path)
        ends = np.flatnonzero(path >= self.compiled.automaton.class_count)
        ids = scores.best(path, self._pinned)[: ends[0] if len(ends) else self.length].tolist()
        return Found(ids, float(value[0] if self.length else 0.0)) if self._accepts(machine, ids) else None

    def _beam(
        self,
        machine,
        scores: Scores,
        weights: np.ndarray,
        value: np.ndarray,
        effort: Effort,
        guide: Guide,
    ):
        width, transitions, members, _ = effort
        emission, row, partial, two, scale, noise, _ = scores
        automaton, vocabulary = self.compiled.automaton, self.compiled.vocabulary
        g = self._graph
        cover = Cover(g.offsets, g.symbols, g.targets, g.labels, g.classes, vocabulary.data, vocabulary.offsets)
        classes, ended, labels = automaton.class_count, automaton.states, weights.shape[1]
        room = 2 * width * transitions
        scratch = new_scratch(g.wild, labels, members, g.states, width, room)
        space = new_layer(room)
        no_row, no_partial, no_two = np.zeros(0, np.float32), np.zeros(0), np.zeros((2, 0), np.int32)  # typed as others
        bounds, live = self._live

        layer = new_layer(1)
        start = machine.read(machine.start, vocabulary.decode_bytes(self._after))
        for array, what in zip(layer, (start, self._start, 0.0, value[0] if self.length else 0.0, 0, -1, -1)):
            array[0] = what
        layers = [layer]
        lost, floor, incumbent = -np.inf, -np.inf, None
        following = np.full(self._graph.states, -np.inf)
        last = self.length + self.more_tokens
        place, behind, ahead = guide.course
        spare = np.where(place == OFF, last - np.arange(last + 1), 0)  # so much may be needed
        for i in range(last + 1):
            inside = i < self.length
            if inside:
                dynamic.put_values(bounds, live, value, i, following)
            else:  # what finishes the text behind the canvas costs nothing
                following = np.where(self._graph.final(last - i - 1), 0.0, -np.inf)
            ending = emission[i, classes] + following[ended] if inside else 0.0
            if ending > -np.inf:
                accept = np.empty(len(layer.config), np.uint8)
                while machine.lacks(accepting(machine.machine, layer, automaton.accept, accept)):
                    pass
                for k in np.flatnonzero(accept):
                    if layer.score[k] + ending > floor:
                        floor, incumbent = layer.score[k] + ending, (i, k)
            if i == last or not len(layer.config) or (incumbent and row is None):
                break
            most = width * transitions // len(layer.config)  # few nodes are looked at closely
            guided = row is not None and i < len(partial)
            while True:
                count, dropped = extend(
                    machine.machine, cover, guide.remainder, layer, weights[i] if inside else np.zeros(labels),
                    emission[i] if inside else np.zeros(classes),
                    row(i) if guided else no_row, partial[i] if guided else no_partial, two[i] if guided else no_two, scale,
                    noise + (i << 20) if noise or not guided else 0, self._pinned[i] if inside else -1, following,
                    floor, most, place[i + 1], behind[i + 1], ahead[i + 1], max(spare[i] - 1, 1),
                    not i and not self._after and vocabulary.strips_leading_space, scratch, space,
                )  # fmt: skip
                if count == GROW and guide.grow(width * ASKED) or machine.lacks(count):
                    continue
                break
            if count == GROW:  # it has cost enough
                lost = np.inf
                break
            layer, aside = choose(space, count, width, int(spare[i + 1]), row is None and noise % 2)
            lost = max(lost, dropped, aside)
            layers.append(layer)
        if incumbent is None:
            return None, lost
        i, k = incumbent
        ids: list[int] = []
        for at in range(i, 0, -1):
            ids.append(int(layers[at].token[k]))
            k = layers[at].parent[k]
        return Found(ids[::-1], float(floor)), lost
