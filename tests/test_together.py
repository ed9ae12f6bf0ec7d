"""Several texts written together: as if each were written alone, and a row that fails takes no other with it."""

import threading

import pytest
import torch
from denoisers import RandomDenoiser

import dgemma_constrain as dc
from dgemma_constrain.diffusion.denoiser import Question, ask
from dgemma_constrain.models.embedded import load_embedded
from dgemma_constrain.models.masked import MaskedModel

PROMPTS = ["a", "", "a longer prompt", "b", "another one that is longer still"]
CONSTRAINTS = [dc.regex(r"[a-z]{3,9} \d+"), None, dc.choice(["yes", "no"]), dc.json_schema({"type": "array"}), "fixed"]


class Counting(RandomDenoiser):
    """Pads, and knows how many forwards there were."""

    pads = True
    forwards = 0

    def logits(self, ids, start, stop):
        self.forwards += 1
        return super().logits(ids, start, stop)

    def padded_logits(self, questions):
        self.forwards += 1
        return [self._of(q.ids)[q.start : q.stop] for q in questions]


def embedded():
    return dc.Model(load_embedded(dtype=torch.float32))  # in bfloat16 rows together differ from rows alone by rounding


def attending(width: int, heeds: bool = True, embedding=None):
    """A network of one layer of attention, which heeds its mask or doesn't."""
    torch.manual_seed(0)
    embed = embedding or torch.nn.Embedding(width, 16)
    layer = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0).eval()
    head = torch.nn.Linear(16, width)

    def network(input_ids, attention_mask=None):
        ignored = None if attention_mask is None or not heeds else attention_mask == 0
        return 6 * head(layer(embed(input_ids), src_key_padding_mask=ignored))

    return network


def masked_model(**options) -> dc.Model:
    vocabulary = RandomDenoiser().vocabulary
    return dc.Model(MaskedModel(attending(len(vocabulary), **options), vocabulary, context_length=128))


@pytest.mark.parametrize(
    "make", [lambda: dc.Model(Counting()), lambda: dc.Model(RandomDenoiser(block=16)), masked_model, embedded]
)
@pytest.mark.parametrize(
    "options", [{}, dict(temperature=1.0, steps=3), dict(candidates=3, temperature=0.7, remask=0.3)]
)
def test_rows_are_what_each_would_be_alone(make, options):
    model = make()
    options = dict(length=24, steps=5, seed=7) | options
    together = model.generate(PROMPTS, CONSTRAINTS, **options)
    for out, prompt, constraint in zip(together, PROMPTS, CONSTRAINTS):
        alone = model.generate(prompt, constraint, **options)
        assert out.text == alone.text and out.ids == alone.ids
        assert out.score == pytest.approx(alone.score, abs=1e-3)


def test_a_step_of_all_rows_is_one_forward():
    model = dc.Model(Counting())
    model.generate(PROMPTS, dc.regex("[a-z]{20}"), length=24, steps=4, candidates=3, temperature=1.0)
    assert model.denoiser.forwards == 4


def test_a_row_that_fails_does_so_alone():
    model = dc.Model(Counting(context_length=64))
    prompts = ["a", "b", "c", "d" * 100, "e", "f"]
    constraints = [dc.literal("x" * 30), dc.choice(["yes"]), dc.literal("a") & "b", None, 5, dc.regex("[0-9]{3}")]
    out = model.generate(prompts, constraints, length=8, steps=2)
    assert [type(one) for one in out] == [
        dc.Infeasible, dc.Output, dc.EmptyConstraint, dc.ConstraintError, dc.ConstraintError, dc.Output
    ]  # fmt: skip
    assert "at least 30 tokens are needed" in str(out[0]) and "do not fit" in str(out[3])
    assert out[1].text == "yes" and dc.regex("[0-9]{3}").matches(out[5].text)
    steps = []
    model.generate(prompts, constraints, length=8, steps=2, candidates=2, on_step=steps.append)
    assert {step.row for step in steps} == {2, 3, 10, 11}
    assert "a text is needed, not int" in str(model.generate(["a", 5], dc.choice(["yes"]), length=8)[1])
    with pytest.raises(dc.ConstraintError, match="2 constraints were given for 3 prompts"):
        model.generate(["a", "b", "c"], [None, None])
    with pytest.raises(dc.ConstraintError, match="a prompt is a text, or several in a list, not int: 5"):
        model.generate(5)
    with pytest.raises(dc.ConstraintError, match="steps"):
        model.generate(["a", "b"], steps=0)
    assert model.generate([], None) == []


def test_logits_that_are_broken_in_one_row_fail_that_row():
    class Broken(Counting):
        def _of(self, row):
            return super()._of(row) * (float("nan") if row[0] == self.vocabulary.encode("b")[0] else 1)

    out = dc.Model(Broken()).generate(["a", "b", "c"], dc.regex("[a-z]{3}"), length=4)
    assert isinstance(out[1], dc.LogitsError) and len(out[0].text) == len(out[2].text) == 3


def test_steps_say_of_which_row_they_are_and_cancelling_stops_what_is_not_done():
    model, cancel, seen = dc.Model(Counting()), threading.Event(), []

    def on_step(step):
        seen.append(step.row)
        if len(seen) == 6:
            cancel.set()

    out = model.generate(["a", "b", "c"], [dc.literal("x" * 21), dc.regex("[a-z]{20}"), dc.regex("[a-z]{20}")], length=21, steps=9,
                         on_step=on_step, cancel=cancel)  # fmt: skip
    assert out[0].text == "x" * 21 and {s.row for s in out[0].trace.steps} == {0}
    assert isinstance(out[1], dc.Cancelled) and isinstance(out[2], dc.Cancelled)
    assert set(seen) == {0, 1, 2}


def test_whether_padding_is_read_is_found_out():
    assert masked_model().denoiser.pads
    assert not masked_model(heeds=False).denoiser.pads
    assert not dc.Model(MaskedModel(lambda ids: ids, RandomDenoiser().vocabulary)).denoiser.pads
    model = masked_model(heeds=False)
    out = model.generate(PROMPTS, CONSTRAINTS, length=24, steps=5)
    assert [o.text for o in out] == [
        model.generate(p, c, length=24, steps=5).text for p, c in zip(PROMPTS, CONSTRAINTS)
    ]


@pytest.mark.parametrize("make", [masked_model, lambda: masked_model(heeds=False), embedded])
def test_padded_rows_get_the_logits_of_rows_alone(make):
    model = make()
    mask = model.vocabulary.mask_id
    generator = torch.Generator().manual_seed(1)
    questions = []
    for length in (9, 30, 30, 12, 17):
        ids = torch.randint(5, len(model.vocabulary), (length,), generator=generator).tolist()
        start = length // 3
        ids[start + 1 : start + 3] = [mask] * 2
        questions.append(Question(ids, start, length - (length == 12)))
    for question, answer in zip(questions, ask(model.denoiser, questions)):
        [alone] = ask(model.denoiser, [question])
        assert answer.shape == alone.shape
        assert torch.allclose(answer, alone, atol=1e-3)


class Small(Counting):
    """Has memory for so many rows at once."""

    def __init__(self, rows: int, error: Exception):
        super().__init__()
        self.rows, self.error = rows, error

    def logits(self, ids, start, stop):
        if len(ids) > self.rows:
            raise self.error
        return super().logits(ids, start, stop)

    def padded_logits(self, questions):
        if len(questions) > self.rows:
            raise self.error
        return super().padded_logits(questions)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    MemoryError(),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_where_memory_runs_out_fewer_rows_run_together(error):
    prompts, constraint = ["a", "b", "c", "d", "e"], dc.regex("[a-z]{5}")
    out = dc.Model(Small(2, error)).generate(prompts, constraint, length=6, steps=2)
    assert [o.text for o in out] == [
        o.text for o in dc.Model(Counting()).generate(prompts, constraint, length=6, steps=2)
    ]
    out = dc.Model(Small(0, error)).generate(prompts, constraint, length=6)
    assert all(isinstance(o, dc.LimitExceeded) and "memory" in str(o) for o in out)
    with pytest.raises(dc.LimitExceeded, match="memory"):
        dc.Model(Small(0, error)).generate("a", constraint, length="auto")
    assert all(
        isinstance(o, dc.LimitExceeded) for o in dc.Model(Small(0, error)).generate(prompts, constraint, length="auto")
    )


def test_another_error_of_the_model_is_not_hidden():
    with pytest.raises(RuntimeError, match="shapes"):
        dc.Model(Small(0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))).generate(
            ["a", "b"], None, length=6
        )


def test_a_constraint_that_runs_out_of_memory_fails_its_row(monkeypatch):
    from dgemma_constrain.canvas.canvas import Canvas

    sample = Canvas.sample
    monkeypatch.setattr(Canvas, "sample", lambda self, *a: sample(self, *a) if self.length == 6 and not self._after and
                        self.compiled.automaton.states < 9 else (_ for _ in ()).throw(MemoryError()))  # fmt: skip
    out = dc.Model(Counting()).generate(
        ["a", "b"], [dc.regex("[a-z]{2}"), dc.regex("([a-z]|[0-9][a-z]){2,9}")], length=6, steps=1
    )
    assert len(out[0].text) == 2 and isinstance(out[1], dc.LimitExceeded)
