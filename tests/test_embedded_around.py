"""Reading what stands around canvases once is exact for the canvas it was read with, and near for others."""

import pytest
import torch

from dgemma_constrain.models.embedded import load_embedded
from dgemma_constrain.models.embedded.network import MASK

BEFORE = "def area(width, height):\n    if width < 0:\n        raise ValueError(width)\n    return "
AFTER = "\n\n\ndef volume(width, height, depth):\n    return area(width, height) * depth\n"


@pytest.fixture(scope="module")
def model():
    return load_embedded(dtype=torch.float32)


def whole(model, before, canvas, after):
    start = len(before)
    return model.logits(torch.tensor([[*before, *canvas, *after]]), start, start + len(canvas))[0]


@pytest.mark.parametrize("after", [AFTER, ""])
def test_the_canvas_of_masks_that_it_is_read_with_is_answered_exactly(model, after):
    before, after = model.frame_infill(BEFORE, after)
    for length in (1, 2, 8, 33):
        (one,) = model.around(before, after, length).logits([[MASK] * length])
        torch.testing.assert_close(one, whole(model, before, [MASK] * length, after), atol=1e-4, rtol=0)


def test_other_canvases_are_answered_nearly(model):
    before, after = model.frame_infill(BEFORE, AFTER)
    around = model.around(before, after, 8)
    written = model.encode("width * height")
    canvases = [[MASK] * n for n in (1, 2, 4, 16)] + [[*written, MASK, MASK], [MASK, *written[1:]], [MASK] * 16]
    for canvas, said in zip(canvases, around.logits(canvases)):
        true = whole(model, before, canvas, after)
        divergence = (true.exp() * (true - said)).sum(-1)
        assert said.shape == true.shape and divergence.mean() < 0.3 and divergence.max() < 1, (canvas, divergence)
        nowhere = torch.roll(true, len(model.vocabulary) // 2, -1)
        assert divergence.max() < (true.exp() * (true - nowhere)).sum(-1).min() / 10


def test_canvases_do_not_know_of_each_other(model):
    before, after = model.frame_infill(BEFORE, AFTER)
    around = model.around(before, after, 4)
    many = around.logits([[MASK] * 4, model.encode("height"), [MASK] * 9, [MASK] * 4])
    torch.testing.assert_close(many[0], around.logits([[MASK] * 4])[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(many[0], many[3], atol=1e-4, rtol=0)
