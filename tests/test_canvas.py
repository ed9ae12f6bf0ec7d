"""Exactness of the canvas: compared with brute force over every string, for random automata, vocabularies, pins,
logits, end tokens, tails and budgets."""

import itertools
import math
import random

import numpy as np
import pytest
import torch
from brute_force import BruteForce

from dgemma_constrain.automata import nfa as fragments
from dgemma_constrain.automata.charset import Charset
from dgemma_constrain.canvas.canvas import Completion
from dgemma_constrain.canvas.compiled import Compiled, compile
from dgemma_constrain.constraints.base import Constraint, Literal
from dgemma_constrain.errors import ConstraintError, EmptyConstraint, Infeasible, LogitsError
from dgemma_constrain.tokens import Vocabulary

LETTERS = "ab"


class Random(Constraint):
    """A random NFA over two letters."""

    def __init__(self, rng: random.Random):
        n = rng.randint(2, 5)
        edges = [(rng.randrange(n), rng.randrange(2), rng.randrange(n)) for _ in range(rng.randint(2, 8))]
        jumps = [(rng.randrange(n), rng.randrange(n)) for _ in range(rng.randint(0, 2))]
        self._nfa = fragments.NFA(
            n,
            np.array(edges, np.int32).reshape(-1, 3),
            np.array(jumps, np.int32).reshape(-1, 2),
            tuple(Charset.of(c) for c in LETTERS),
        )

    def nfa(self, limits):
        return self._nfa


class Case(BruteForce):
    """A random problem and its solution by enumeration."""

    def __init__(self, seed: int):
        rng = self.rng = random.Random(seed)
        texts = [b"a", b"b"] + rng.sample([b"ab", b"ba", b"aa", b"aba", b"a"], rng.randint(0, 3))
        tokens: list = texts + [None] * rng.randint(1, 3)
        rng.shuffle(tokens)
        special = [i for i, t in enumerate(tokens) if t is None]
        eos = rng.sample(special, rng.randint(0, min(2, len(special))))
        pad = rng.choice([None, *special])
        self.tokens, self.eos, self.pad = tokens, eos, pad
        self.vocabulary = Vocabulary(tokens, eos_id=eos, pad_id=pad)
        self.length = rng.randint(0, 4 if len(tokens) < 6 else 3)
        self.more = rng.choice([0, 0, 1, 2])
        self.tail = rng.choice(["end", "any"])
        self.pinned = {
            i: rng.randrange(len(tokens)) for i in range(self.length) if rng.random() < rng.choice([0.0, 0.0, 0.3])
        }
        self.logits = torch.randn(self.length, len(tokens), generator=torch.Generator().manual_seed(seed))
        self.spread = rng.choice([1, 3, 60])
        self.logits *= self.spread
        self.logp = self.logits.double().log_softmax(-1).numpy()
        while True:
            self.constraint = Random(rng)
            if not self.constraint.dfa().is_empty:
                break
        self.known: dict[str, bool] = {}

    def accepts(self, text: str) -> bool:
        """Simulates the NFA itself, so that nothing under test takes part."""
        if text not in self.known:
            nfa = self.constraint._nfa

            def closed(states):
                while more := {t for s, t in nfa.jumps.tolist() if s in states} - states:
                    states = states | more
                return states

            states = closed({0})
            for c in text:
                states = closed({t for s, k, t in nfa.edges.tolist() if s in states and LETTERS[k] == c})
            self.known[text] = nfa.states - 1 in states
        return self.known[text]

    def can_end(self, text: bytes, more: int = 0) -> bool:
        pieces = {t for t in self.tokens if t is not None}
        reach = {text}
        for _ in range(more + 1):
            if any(self.accepts(t.decode()) for t in reach):
                return True
            reach = {t + e for t in reach for e in pieces}
        return False

    def canvas(self):
        compiled = compile(self.constraint, self.vocabulary, cache=False)
        return compiled.canvas(self.length, self.pinned, self.more, self.tail)


def cases(count, seed):
    for k in range(count):
        try:
            yield Case(seed + k)
        except EmptyConstraint:
            continue


@pytest.mark.parametrize("seed", range(0, 400, 50))
def test_masks_feasibility_best_and_marginals_equal_brute_force(seed):
    feasible = 0
    for case in cases(50, seed):
        canvas, solutions = case.canvas(), case.solutions()
        assert canvas.feasible == bool(solutions)
        mask = np.zeros((case.length, len(case.tokens)), bool)
        for ids in solutions:
            mask[np.arange(case.length), list(ids)] = True
        assert np.array_equal(canvas.allowed().numpy(), mask)
        assert np.array_equal(canvas.choices, mask.sum(1))
        forbidden = torch.isneginf(canvas.mask_(case.logits.clone())).numpy()
        assert np.array_equal(forbidden, ~mask)
        if not solutions:
            with pytest.raises(Infeasible):
                canvas.best(case.logits)
            continue
        feasible += 1
        best = canvas.best(case.logits)
        assert case.valid(tuple(best.ids)) is not None
        assert best.score == pytest.approx(max(solutions.values()), abs=1e-4)

        # Under tail="any" the unread positions are whatever the model likes: weight 1 in all, as its softmax spreads it.
        weights = {
            ids: sum(case.logp[i, ids[i]] for i in range(case.length) if i not in case.pinned or i < case.valid(ids))
            for ids in solutions
        }
        top = max(weights.values())
        total = sum(math.exp(w - top) for w in weights.values())
        expected = np.zeros((case.length, len(case.tokens)))
        for ids, w in weights.items():
            expected[np.arange(case.length), list(ids)] += math.exp(w - top) / total
        marginals = canvas.marginals(case.logits).exp().numpy()
        assert np.abs(marginals - expected).max(initial=0) < 1e-4
        chosen = list(best.ids)
        found = np.exp(canvas.posterior(case.logits).of(chosen))
        assert np.abs(found - expected[np.arange(case.length), chosen]).max(initial=0) < 1e-4
    assert feasible > 10


def test_samples_follow_the_exact_joint_distribution():
    """Chi-square over all valid strings, with tails and pins, at two temperatures."""
    checked = 0
    for case in cases(400, 5000):
        solutions = case.solutions()
        if not 3 <= len(solutions) <= 60 or case.spread > 3 or case.tail == "any":
            continue
        temperature = case.rng.choice([1.0, 0.7])
        logp = (case.logits.double() / temperature).log_softmax(-1).numpy()
        weights = np.array([math.exp(sum(logp[i, t] for i, t in enumerate(ids))) for ids in solutions])
        expected = 1000 * weights / weights.sum()
        canvas, generator = case.canvas(), torch.Generator().manual_seed(1)
        counts = dict.fromkeys(solutions, 0)
        for _ in range(1000):
            sample = canvas.sample(case.logits, temperature, generator)
            counts[tuple(sample.ids)] += 1
            assert sample.score == pytest.approx(solutions[tuple(sample.ids)], abs=1e-3)
        observed = np.array(list(counts.values()))
        common = expected >= 5
        groups = (
            np.append(expected[common], expected[~common].sum()),
            np.append(observed[common], observed[~common].sum()),
        )
        keep = groups[0] > 0
        statistic = (((groups[1] - groups[0]) ** 2) / np.maximum(groups[0], 1e-9))[keep].sum()
        freedom = max(1, keep.sum() - 1)
        assert statistic < freedom + 5 * math.sqrt(2 * freedom) + 10
        checked += 1
        if checked == 12:
            break
    assert checked == 12


def test_weights_far_beyond_the_range_of_a_double_are_exact():
    case = next(
        c for c in cases(500, 9000) if len(c.solutions()) > 5 and c.length == 4 and not c.pinned and c.tail == "end"
    )
    logits = case.logits.clone()
    cheap = [i for i, t in enumerate(case.tokens) if t is None and i not in case.eos and i != case.pad]
    logits[:, cheap] = 0.0
    logits -= 4000 * torch.arange(len(case.tokens))[None, :]
    case.logits, case.logp = logits, logits.double().log_softmax(-1).numpy()
    solutions = case.solutions()
    canvas = case.canvas()
    assert canvas.best(logits).score == pytest.approx(max(solutions.values()), rel=1e-6)
    best = max(solutions, key=solutions.get)
    marginals = canvas.marginals(logits)
    assert marginals[range(4), list(best)].exp().min() > 0.99
    assert tuple(canvas.sample(logits, generator=torch.Generator().manual_seed(0)).ids) == best


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_dtypes_give_the_answer_of_their_own_values(dtype):
    for case in itertools.islice((c for c in cases(300, 700) if c.solutions() and c.spread < 60), 20):
        logits = case.logits.to(dtype)
        canvas = case.canvas()
        a, b = canvas.best(logits), canvas.best(logits.float())
        assert a.score == pytest.approx(b.score, abs=1e-5)
        assert torch.equal(canvas.marginals(logits).float(), canvas.marginals(logits.float()))


def test_the_device_path_agrees_with_the_host_path(monkeypatch):
    from dgemma_constrain.canvas import logits as reductions

    cases_ = [c for c in itertools.islice(cases(200, 1300), 80) if c.solutions()]
    host = [(c.canvas().best(c.logits), c.canvas().marginals(c.logits)) for c in cases_]
    monkeypatch.setattr(reductions, "HostLogits", reductions.DeviceLogits)
    for case, (best, marginals) in zip(cases_, host):
        canvas = case.canvas()
        again = canvas.best(case.logits)
        assert again.score == pytest.approx(best.score, abs=1e-3)
        assert torch.allclose(canvas.marginals(case.logits).exp(), marginals.exp(), atol=1e-4)
        sample = canvas.sample(case.logits, generator=torch.Generator().manual_seed(3))
        assert case.valid(tuple(sample.ids)) is not None


def test_a_class_far_below_the_row_maximum_keeps_its_probabilities():
    vocabulary = Vocabulary([b"a", b"b", None], eos_id=2)
    canvas = compile(Literal("a") | Literal("b"), vocabulary, cache=False).canvas(1)
    marginals = canvas.marginals(torch.tensor([[-300.0, -301.0, 50.0]])).exp()
    assert marginals[0, :2].tolist() == pytest.approx([1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))], abs=1e-5)


@pytest.fixture(scope="module")
def small() -> Compiled:
    return compile(
        Literal("ab").repeat(1, 2),
        Vocabulary([b"a", b"b", b"ab", None, None, None], eos_id=3, pad_id=4, mask_id=5),
        cache=False,
    )


def test_too_short_says_how_many_tokens_are_needed():
    vocabulary = Vocabulary([b"a", b"b", None], eos_id=2)
    compiled = compile(Literal("aabb"), vocabulary, cache=False)
    with pytest.raises(Infeasible, match="at least 4 tokens are needed, but the canvas has 3"):
        compiled.canvas(3).best(torch.zeros(3, 3))
    assert compiled.canvas(3, more_tokens=1).feasible


def test_the_first_conflicting_pin_is_named(small):
    canvas = small.canvas(4, {0: 0, 1: 0, 2: 1})
    assert not canvas.feasible and not canvas.allowed().any()
    with pytest.raises(Infeasible, match=r"position 1, pinned to id 0 \('a'\)"):
        canvas.best(torch.zeros(4, 6))


def test_without_an_end_token_the_length_is_exact():
    vocabulary = Vocabulary([b"(", b")", b"x"])
    compiled = compile(Literal("(x)") | Literal("x"), vocabulary, cache=False)
    assert [compiled.canvas(n).feasible for n in range(5)] == [False, True, False, True, False]
    with pytest.raises(Infeasible, match="exactly 2 tokens, and this vocabulary has no end token"):
        compiled.canvas(2).best(torch.zeros(2, 3))


def test_length_zero_holds_only_the_empty_text():
    vocabulary = Vocabulary([b"a", None], eos_id=1)
    assert compile(Literal("a").repeat(0, 3), vocabulary, cache=False).canvas(0).best(torch.zeros(0, 2)) == Completion(
        [], 0.0
    )
    with pytest.raises(Infeasible):
        compile(Literal("a"), vocabulary, cache=False).canvas(0).check()


def test_pin_gives_a_new_canvas_and_leaves_the_old_one(small):
    canvas = small.canvas(3)
    pinned = canvas.pin(0, 0)
    assert canvas.pinned == {} and pinned.pinned == {0: 0}
    assert pinned.allowed(0).nonzero().ravel().tolist() == [0]
    assert canvas.allowed(0).nonzero().ravel().tolist() == [0, 2]
    assert torch.equal(pinned.allowed(-1), pinned.allowed()[-1])


def test_a_text_goes_on_over_several_canvases():
    vocabulary = Vocabulary([b"a", b"b", None], eos_id=2)
    compiled = compile(Literal("ab").repeat(3, 3), vocabulary, cache=False)
    first = compiled.canvas(4, more_tokens=2).best(torch.zeros(4, 3)).ids
    second = compiled.canvas(3, after=first).best(torch.zeros(3, 3)).ids
    assert vocabulary.decode(first + second) == "ababab"
    with pytest.raises(ConstraintError, match="id 1, number 0"):
        compiled.canvas(1, after=[1])


@pytest.mark.parametrize(
    "logits, message",
    [
        (torch.full((3, 6), float("nan")), "position 0 hold NaN"),
        (torch.tensor([[0.0] * 6, [0.0] * 6, [0, float("inf"), 0, 0, 0, 0]]), "position 2 hold NaN or"),
        (torch.zeros(3, 7), r"shape \[3, 7\], but this canvas needs \[3, 6\]"),
        (torch.zeros(2, 6), r"shape \[2, 6\]"),
        (torch.zeros(3, 6, dtype=torch.int64), "floating point"),
        ([[0.0] * 6] * 3, "torch tensor"),
    ],
)
def test_bad_logits_are_refused(small, logits, message):
    for ask in (small.canvas(3).best, small.canvas(3).sample, small.canvas(3).marginals):
        with pytest.raises(LogitsError, match=message):
            ask(logits)


def test_minus_infinity_forbids_a_token_and_everything_forbidden_is_said(small):
    logits = torch.zeros(3, 6)
    logits[0, 2] = -torch.inf
    assert small.canvas(3).best(logits).ids[0] == 0
    logits[:, :3] = -torch.inf
    for ask in (small.canvas(3).best, small.canvas(3).sample, small.canvas(3).marginals):
        with pytest.raises(Infeasible, match="probability zero"):
            ask(logits)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(length=-1), "length must be"),
        (dict(length=2.0), "length must be"),
        (dict(length=2, more_tokens=-1), "more_tokens must be"),
        (dict(length=2, tail="none"), 'tail must be "end" or "any"'),
        (dict(length=2, pinned={2: 0}), "position must be a whole number from 0 to 1"),
        (dict(length=2, pinned={0: 6}), "id must be a whole number from 0 to 5"),
    ],
)
def test_arguments_out_of_range_are_named(small, arguments, message):
    with pytest.raises(ConstraintError, match=message):
        small.canvas(**arguments)
