"""Lengths chosen by the model: of those that are feasible, the one it is surest of, all looked at in one batch."""

import pytest
import torch
from denoisers import RandomDenoiser

import dgemma_constrain as dc
from dgemma_constrain.diffusion.schedules import schedule


class Wanting(RandomDenoiser):
    """Wants `text` and then the end, if the canvas has room for just that; otherwise it is unsure. Counts its forwards."""

    pads, forwards = True, 0

    def __init__(self, text: str, canvas: int, **options):
        super().__init__(**options)
        self.text, self.canvas = self.vocabulary.encode(text), canvas

    def padded_logits(self, questions):
        self.forwards += 1
        return [self._wanted(q.stop - q.start) for q in questions]

    def logits(self, ids, start, stop):
        self.forwards += 1
        return torch.stack([self._wanted(stop - start)] * len(ids))

    def _wanted(self, n):
        ids = [*self.text, *[self.vocabulary.eos_id] * n][:n]
        return (9.0 if n == self.canvas else 3.0) * torch.nn.functional.one_hot(torch.tensor(ids), len(self.vocabulary))


@pytest.mark.parametrize("canvas", [4, 8, 16, 32, 64])
@pytest.mark.parametrize("way", ["generate", "infill"])
def test_the_surest_length_is_taken(canvas, way):
    model = dc.Model(Wanting("xyz", canvas))
    given = dict(constraint=dc.regex("[x-z]+"), length="auto", steps=1)
    out = model.generate("p", **given) if way == "generate" else model.infill("p", "s", **given)
    assert out.text == "xyz" and len(out.ids) == canvas
    assert model.denoiser.forwards == 2


def test_only_feasible_lengths_are_looked_at():
    model = dc.Model(Wanting("xyz", 4))
    assert len(model.generate("p", dc.regex("[x-z]{20}"), length="auto", steps=2).text) == 20
    exact = dc.literal("x" * 61)  # none of the usual lengths fits but one, and that of the text itself
    assert model.generate("p", exact, length="auto", steps=2).text == "x" * 61
    with pytest.raises(dc.Infeasible, match="at least 70.*64 have room"):
        model.generate("p", dc.literal("xq" * 35), length="auto")


def test_rows_choose_for_themselves_and_fail_for_themselves():
    model = dc.Model(Wanting("xyz", 8))
    out = model.generate(
        ["a", "b", "c"], [dc.regex("[x-z]+"), dc.literal("xq" * 50), dc.regex("[xy]{30}")], length="auto", steps=1
    )
    assert len(out[0].ids) == 8 and isinstance(out[1], dc.Infeasible) and len(out[2].text) == 30
    assert model.denoiser.forwards == 2


def test_pins_need_room():
    model = dc.Model(Wanting("xyz", 4))
    out = model.generate("p", dc.regex("[x-z]+"), length="auto", steps=2, pinned={20: model.vocabulary.encode("z")[0]})
    assert len(out.ids) >= 21 and out.text[20] == "z"


def test_thresholds_can_be_given():
    import numpy as np

    doubt = np.array([0.05, 0.05, 0.3, 2.0])
    assert [schedule(f"entropy={h}")(doubt, doubt, 0, 9) for h in (0.01, 0.1, 0.5, 9)] == [0, 2, 3, 4]
    assert schedule("entropy")(doubt, doubt, 0, 9) == 2 and schedule("confidence=0.2")(doubt, doubt, 0, 9) == 2
    for wrong in ("linear=2", "entropy=x", "entropy=0", "entropy=nan", "fast"):
        with pytest.raises(dc.ConstraintError, match="schedule"):
            schedule(wrong)
    out = dc.Model(RandomDenoiser()).generate("p", dc.regex("[a-z]{9}"), schedule="entropy=0.5", steps=40)
    assert len(out.text) == 9
