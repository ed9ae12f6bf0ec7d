"""A header before the constrained text: exactly the strings that have one, and the constraint on what follows."""

import itertools

import numpy as np
import pytest
import torch

import dgemma_constrain as dc

PAD, EOS, START, END, OTHER = range(5)
TOKENS = [None] * 5 + [b"a", b"b", b"ab"]
LENGTH = 5


@pytest.fixture
def vocabulary():
    return dc.Vocabulary(TOKENS, eos_id=EOS, pad_id=PAD)


def is_valid(ids, constraint, vocabulary, optional) -> bool:
    """What a reader does: cut off the header at its end, read the rest."""
    text, tail = (ids[: ids.index(EOS)], ids[ids.index(EOS) :]) if EOS in ids else (ids, ())
    if any(t not in (PAD, EOS) for t in tail):
        return False
    text = list(text)
    if not optional or text[:1] == [START]:
        text = text[1:] if optional else text
        if END not in text:
            return False
        header, text = text[: text.index(END)], text[text.index(END) + 1 :]
        if any(t < 5 for t in header):
            return False
    return all(t >= 5 for t in text) and constraint.matches(vocabulary.decode(text))


@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize("pattern", ["(ab)*", "a|ba", "b+"])
def test_exactly_the_strings_with_a_header(vocabulary, pattern, optional):
    constraint = dc.regex(pattern)
    compiled = dc.compile(constraint, vocabulary).behind_header(END, START if optional else None)
    valid = [
        ids for ids in itertools.product(range(8), repeat=LENGTH) if is_valid(ids, constraint, vocabulary, optional)
    ]
    canvas = compiled.canvas(LENGTH)
    mask = np.zeros((LENGTH, len(vocabulary)), bool)
    for ids in valid:
        mask[np.arange(LENGTH), ids] = True
    assert valid and np.array_equal(canvas.allowed().numpy(), mask)
    for seed in range(5):
        logits = 2 * torch.randn(LENGTH, len(vocabulary), generator=torch.Generator().manual_seed(seed))
        scores = logits.log_softmax(-1)[torch.arange(LENGTH), torch.tensor(valid)].sum(1)
        best = canvas.best(logits)
        assert best.score == pytest.approx(float(scores.max()), abs=1e-4) and tuple(best.ids) in valid
        p = torch.zeros(LENGTH, len(vocabulary)).index_put_(
            (torch.arange(LENGTH).repeat(len(valid)), torch.tensor(valid).flatten()),
            scores.softmax(0).repeat_interleave(LENGTH), accumulate=True,
        )  # fmt: skip
        assert torch.allclose(canvas.marginals(logits).exp(), p, atol=1e-5)


@pytest.mark.parametrize("optional", [True, False])
def test_over_several_canvases_the_budget_holds(vocabulary, optional):
    compiled = dc.compile(dc.regex("(ab){3}b"), vocabulary).behind_header(END, START if optional else None)
    fewest = 4 + (not optional)
    for more in range(fewest):
        assert compiled.canvas(1, more_tokens=more).feasible == (1 + more >= fewest)
    header = [START, 5, 6, END] if optional else [5, 6, END]
    assert compiled.canvas(4, after=header).feasible and not compiled.canvas(3, after=header).feasible


@pytest.mark.parametrize("end, start", [(EOS, None), (5, None), (END, END), (END, PAD), (99, None), ("x", None)])
def test_ids_that_are_no_header_s_are_refused(vocabulary, end, start):
    with pytest.raises(dc.ConstraintError, match="special id"):
        dc.compile("a", vocabulary).behind_header(end, start)


def test_a_searched_grammar_has_none():
    vocabulary = dc.Vocabulary([None] * 4 + [bytes([b]) for b in range(256)], eos_id=EOS, pad_id=PAD)
    compiled = dc.compile(dc.grammar("python_expression"), vocabulary)
    with pytest.raises(dc.ConstraintError, match="searched"):
        compiled.behind_header(END)
