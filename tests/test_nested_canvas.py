"""Canvases of grammars that nest without end: against enumeration on small vocabularies, on 262,144 ids against Lark."""

import math
import random
from collections import Counter

import lark
import numpy as np
import pytest
import torch
from test_searched_canvas import NAMES, NESTED, answer, cases, searched

import dgemma_constrain as dc
from benchmarks.vocabularies import generated_vocabulary
from dgemma_constrain.canvas import nested
from dgemma_constrain.canvas.nested import Nested
from dgemma_constrain.canvas.pushdown import make_pushdown
from dgemma_constrain.constraints.grammar import bundled
from dgemma_constrain.tokens.lift_network import lift_network

BRACKETS = dc.Vocabulary([b"(", b")", b"x", b"((", b"x)", b"))", b"((((((((", None, None], eos_id=7, pad_id=8)


def without_automaton(case) -> Nested | None:
    """The canvas of a case, if a network of its grammar is small."""
    try:
        network = case.constraint.network()
        lifted = network and lift_network(network, case.vocabulary)
    except dc.LimitExceeded:
        return None
    if lifted is None:
        return None
    compiled = searched(case.constraint, case.vocabulary)
    pushdown = make_pushdown(lifted, case.vocabulary, case.tail)
    return Nested(compiled, pushdown, None, case.pinned, case.length, case.more, case.tail, [])


# Against enumeration --------------------------------------------------------------------------------------------------


def compare(name: str, count: int) -> None:
    """Feasibility, masks, the best string, samples, and marginals where no text has two runs: all exact."""
    tally = Counter()
    for case, _, solutions in cases(name, count):
        tally["all"] += 1
        canvas = without_automaton(case)
        if canvas is None:
            continue
        tally["compared"] += 1
        assert canvas.feasible == bool(solutions)

        mask = torch.zeros(case.length, len(case.tokens), dtype=torch.bool)
        for ids in solutions:
            mask[range(case.length), ids] = True
        assert torch.equal(canvas.allowed(), mask)

        top = max(solutions.values(), default=-math.inf)
        best = answer(lambda: canvas.best(case.logits))
        assert (best is None) == (top == -math.inf)
        if best is None:
            continue
        tally["best"] += 1
        assert best.proved and best.score == pytest.approx(solutions[tuple(best.ids)], rel=1e-5, abs=1e-4)
        assert best.score == pytest.approx(top, rel=1e-5, abs=1e-4)

        draw = canvas.sample(case.logits, 1.5, torch.Generator().manual_seed(case.length))
        assert draw.score == pytest.approx(solutions[tuple(draw.ids)], rel=1e-5, abs=1e-3)
        assert draw.score > -math.inf
        if canvas._graph.unambiguous and not case.more:
            tally["sums"] += 1
            want = true_marginals(case, solutions)
            assert np.allclose(canvas.marginals(case.logits).double().exp().numpy(), want, atol=2e-5)
            of_best = canvas.posterior(case.logits).of(best.ids)
            assert np.allclose(np.exp(of_best), want[range(case.length), best.ids], atol=2e-5)
    print(name, dict(tally))
    assert tally["best"] > 0.3 * tally["all"]
    assert tally["compared"] == tally["all"] or "random" in name


def true_marginals(case, solutions) -> np.ndarray:
    """Probabilities float64[L, V] of prod softmax restricted to the solutions; an unread tail is as the model likes."""
    total, strings = np.full((case.length, len(case.tokens)), -np.inf), -np.inf
    for ids in solutions:
        weight = case.logp[range(case.length), ids].sum()
        strings = np.logaddexp(strings, weight)
        for i, t in enumerate(ids):
            total[i, t] = np.logaddexp(total[i, t], weight)
    return np.exp(total - strings)


@pytest.mark.parametrize("name", NAMES)
def test_every_string_of_tokens_by_brute_force(name):
    compare(name, 25)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_string_of_tokens_of_many_cases(name):
    compare(name, 80)


def test_samples_come_in_proportion():
    compiled = dc.compile(
        dc.grammar('start: (NAME | "(" start ")")+\nNAME: /[ab]+/'), dc.Vocabulary([b"a", b"b", b"(", b")", b"a)"])
    )
    canvas = compiled.canvas(4)
    assert isinstance(canvas, Nested)
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(0)
    draws = [canvas.sample(logits, generator=generator).ids for _ in range(4000)]
    counted = torch.zeros(4, 5)
    for ids in draws:
        counted[range(4), ids] += 1 / len(draws)
    assert torch.allclose(counted, canvas.marginals(logits).exp(), atol=0.04)


# One by one -----------------------------------------------------------------------------------------------------------


def test_brackets_of_any_depth_on_every_length():
    compiled = dc.compile(dc.grammar(NESTED), dc.Vocabulary([b"(", b")", b"x"]))
    assert [compiled.canvas(n).feasible for n in range(1, 200)] == [n % 2 == 1 for n in range(1, 200)]
    deep = compiled.canvas(199, {98: 0, 100: 1})  # deeper than any automaton of ours goes
    assert deep.feasible and not compiled.canvas(199, {98: 0, 101: 2}).feasible
    assert deep.allowed().sum(1).tolist() == [1] * 199
    assert deep.best(torch.zeros(199, 3)).ids == [0] * 99 + [2] + [1] * 99
    with pytest.raises(dc.Infeasible, match="position 101, pinned to id 2 .*conflicts"):
        compiled.canvas(199, {98: 0, 101: 2}).check()


def test_tokens_that_open_and_close_many_at_once():
    compiled = dc.compile(dc.grammar(NESTED), BRACKETS)
    canvas = compiled.canvas(60, {i: 6 for i in range(10)})  # 80 open, and 40 tokens close two at most
    assert canvas.feasible is True
    text = BRACKETS.decode(canvas.best(torch.zeros(60, 9)).ids)
    assert text == "(" * (len(text) // 2) + "x" + ")" * (len(text) // 2) and len(text) > 160
    assert compiled.canvas(60, {i: 6 for i in range(13)}).feasible is False  # 104, and 47 tokens


def test_a_text_goes_on_over_several_canvases():
    compiled = dc.compile(dc.grammar(NESTED), BRACKETS)
    logits = torch.randn(12, 9, generator=torch.Generator().manual_seed(3))
    first = compiled.canvas(6, {i: 6 for i in range(6)}, more_tokens=30)
    assert isinstance(first, Nested) and first.feasible is True
    assert compiled.canvas(6, {i: 6 for i in range(6)}, more_tokens=24).feasible is False
    second = compiled.canvas(30, after=first.best(logits[:6]).ids)
    assert second.feasible is True and compiled.canvas(10, after=[6] * 6).feasible is False
    ids = [6] * 6 + second.best(torch.zeros(30, 9)).ids
    assert compiled.constraint.matches(BRACKETS.decode(ids))
    with pytest.raises(dc.ConstraintError, match="before this canvas"):
        compiled.canvas(10, after=[6] * 20 + [2, 2])


def test_a_head_leaves_room_for_what_is_pinned_behind_it():
    compiled = dc.compile(dc.grammar(NESTED), dc.Vocabulary([b"(", b")", b"x"]))
    whole = compiled.canvas(9, {6: 1})
    head = whole.head(4)
    assert head.feasible and head.with_pins({0: 2}).feasible is False
    assert head.allowed().sum(1).tolist() == [1] * 4
    assert head.best(torch.zeros(4, 3)).ids == [0] * 4


def test_what_is_too_large_for_a_chart_is_answered_by_the_automaton(monkeypatch):
    compiled = dc.compile(dc.grammar("arithmetic"), dc.Vocabulary([bytes([b]) for b in b"0123456789()+-*/. "]))
    logits = 3 * torch.randn(24, 18, generator=torch.Generator().manual_seed(2))
    exact = compiled.canvas(24).best(logits)
    assert exact.proved
    for name in ("BITS", "WEIGHTS", "SUMS"):
        monkeypatch.setattr(nested, name, (0, 0))
    canvas = compiled.canvas(24)
    best, draw = canvas.best(logits), canvas.sample(logits, generator=torch.Generator().manual_seed(0))
    assert not best.proved and best.score <= exact.score + 1e-4
    for completion in (best, draw):
        assert compiled.constraint.matches(compiled.vocabulary.decode(completion.ids))
    assert canvas.allowed().any(1).all() and torch.isfinite(canvas.marginals(logits)).any(1).all()


def test_max_depth_keeps_its_word():
    compiled = dc.compile(dc.grammar(NESTED, max_depth=2), dc.Vocabulary([b"(", b")", b"x"]))
    assert not isinstance(compiled.canvas(5), Nested) and compiled.canvas(9).feasible is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["json", "arithmetic", "filter", "tool_call"])
def test_deep_texts_on_a_real_vocabulary(name):
    """Random tokens of texts that nest 30 deep are hidden: each is allowed, and Lark reads whatever fills the holes."""
    vocabulary = generated_vocabulary()
    constraint = dc.grammar(name)
    compiled = dc.compile(constraint, vocabulary, cache=False)
    parser = lark.Lark.open(str(bundled()[name]), parser="lalr")
    deep = {
        "json": "[" * 15 + '{"a": ' * 15 + "1" + "}" * 15 + "]" * 15,
        "arithmetic": "(" * 30 + "1 + 2" + ") * 3" * 5 + ")" * 25,
        "filter": "(" * 30 + 'age >= 18 and city = "Oslo"' + ")" * 30,
        "tool_call": '<tool_call>\n{"name": "f", "arguments": {"a": ' + "[" * 30 + "]" * 30 + "}}\n</tool_call>",
    }[name]  # fmt: skip
    ids = vocabulary.encode(deep)
    assert constraint.matches(deep) and not constraint.dfa().accepts(deep)
    rng, generator = random.Random(name), torch.Generator().manual_seed(0)
    for share in (0.2, 0.6):
        hidden = {i for i in range(len(ids)) if rng.random() < share}
        canvas = compiled.canvas(len(ids), {i: t for i, t in enumerate(ids) if i not in hidden})
        assert isinstance(canvas, Nested) and canvas.feasible is True
        allowed = canvas.allowed()
        assert all(allowed[i, t] for i, t in enumerate(ids))
        logits = 3 * torch.randn(len(ids), len(vocabulary), generator=generator)
        best = canvas.best(logits)
        assert best.proved
        for completion in (best, canvas.sample(logits, 2.0, generator)):
            stop = next((i for i, t in enumerate(completion.ids) if t in vocabulary.eos_ids), len(ids))
            parser.parse(vocabulary.decode(completion.ids[:stop]))
            assert completion.score <= best.score + 1e-3
    assert compiled.canvas(len(ids), dict(list(enumerate(ids))[:-3]) | {len(ids) - 1: ids[0]}).feasible is False
