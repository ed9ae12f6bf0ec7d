"""Code is completed by models of every kind: DiffusionGemma, which has no masks, and masked ones as they come from a hub."""

import numpy as np
import pytest
import torch
from tiny_models import build, diffusion_gemma_with_tokenizer

import dgemma_constrain as dc
from dgemma_constrain.cli import main
from dgemma_constrain.infill import complete
from dgemma_constrain.infill.hole import find
from dgemma_constrain.infill.renoised import Renoised
from tests.test_infill_complete import cut, errors

HOLES = [
    ("python", "def read(path):\n    with open(path) as f:\n        return |\n\nprint(read('x'))\n"),
    ("python", "class A:\n    def __init__(self, name):\n        |\n"),
    ("python", "for i in ra|:\n    print(i)\n"),
    ("json", '{"a": 1, |}'),
    ("javascript", "function f(a, b) {\n  return |\n}\nf(1, 2)\n"),
    ("c", "int f(int a) { return |; }\n"),
    ("html", "<p>|</p>\n"),
]
MASKED = "modernbert", "llada", "dream"


@pytest.fixture(scope="module")
def shipped():
    return dc.load("embedded:diffusion-gemma")


@pytest.fixture(scope="module", params=["diffusion_gemma", *MASKED])
def hub(request, tmp_path_factory):
    """A model of a hub's class, and its folder."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "diffusion_gemma":
        diffusion_gemma_with_tokenizer(folder)
        return dc.load(str(folder)), folder, ()
    options = build(request.param, folder)
    return dc.load(str(folder), **options), folder, ("--trust-remote-code",) * bool(options)


def whole(source, cursor, language, answers):
    assert answers
    for one in answers:
        assert one.text.strip() and one.score <= 0 and (one.start, one.end) == (cursor, cursor)
        assert errors(language, source[:cursor] + one.text + source[cursor:]) == 0, one.text


@pytest.mark.parametrize("language, text", HOLES, ids=lambda x: x[:12])
def test_diffusion_gemma_leaves_the_file_whole(shipped, language, text):
    source, cursor = cut(text)
    whole(source, cursor, language, complete(source, cursor, language, shipped, budget=120_000, steps=3))


def test_diffusion_gemma_fills_several_holes_and_obeys_a_constraint(shipped):
    source, cursor = cut("def area(a):\n    return |\n\nx = \n")
    digits = dc.regex("[0-9]{1,5}")
    for one in complete(source, cursor, "python", shipped, 120_000, steps=2, constraint=digits) or [
        pytest.fail("none")
    ]:
        assert digits.matches(one.text)
    places = [cursor, len(source) - 1]
    for one, other in complete(source, None, "python", shipped, 120_000, spans=places, steps=2) or [
        pytest.fail("none")
    ]:
        filled = source[:cursor] + one.text + source[cursor:-1] + other.text + "\n"
        assert errors("python", filled) == 0


class Watched:
    """A renoiser that notes what it is asked."""

    def __init__(self, denoiser):
        self._denoiser, self.seen = denoiser, []

    def __getattr__(self, name):
        return getattr(self._denoiser, name)

    def look(self, looks):
        self.seen.append(looks)
        return self._denoiser.look(looks)


def looks_at(shipped, text):
    source, cursor = cut(text)
    model = dc.Model(Watched(shipped.denoiser))
    return Renoised(model, find(source, cursor), iter(()), [], 1e18), model.denoiser, source, cursor


def test_what_stands_around_the_hole_is_context_and_pinned_in_the_canvas(shipped):
    looks, denoiser, source, cursor = looks_at(shipped, "x = f(|)\ny = [1, 2]\n")
    rows = looks([[None] * 3, [7, None, 9, None, None]])
    assert [row.shape for row in rows] == [(3, len(shipped.vocabulary)), (5, len(shipped.vocabulary))]
    assert all(np.allclose(np.exp(row).sum(1), 1, atol=1e-3) for row in rows)
    [asked] = denoiser.seen
    behind = shipped.vocabulary.encode(source[cursor:])
    for look, length in zip(asked, (3, 5)):
        ids = look.canvas.tolist()
        assert shipped.vocabulary.decode(look.context) == source[:cursor]
        assert len(ids) == denoiser.block and ids[length : length + len(behind)] == behind
        assert ids[length + len(behind)] == shipped.vocabulary.eos_id, "the file ends there"
        assert look.feedback is None
    assert asked[1].canvas[[0, 2]].tolist() == [7, 9]


def test_what_is_not_decided_is_drawn_anew_and_what_was_said_goes_back(shipped):
    looks, denoiser, *_ = looks_at(shipped, "x = f(|)\ny = [1, 2]\n")
    looks([[None] * 4])
    looks([[None, 5, None, None]])
    (first,), (second,) = denoiser.seen
    assert first.canvas[[0, 2, 3]].tolist() != second.canvas[[0, 2, 3]].tolist()
    assert torch.equal(first.canvas[4:], second.canvas[4:]) and second.canvas[1] == 5
    assert torch.isfinite(second.feedback).all()
    assert second.feedback.argmax(-1)[[1, *range(4, denoiser.block)]].tolist() == [5, *second.canvas[4:].tolist()]


@pytest.mark.parametrize("language, text", [HOLES[0], HOLES[2], HOLES[3], HOLES[5]], ids=lambda x: x[:12])
def test_models_of_a_hub_leave_the_file_whole(hub, language, text):
    source, cursor = cut(text)
    whole(source, cursor, language, complete(source, cursor, language, hub[0], budget=120_000, steps=2))


def test_the_command_takes_a_models_folder(hub, tmp_path, capsys):
    path = tmp_path / "app.py"
    path.write_text("def area(r):\n    return \n")
    given = ["--model", str(hub[1]), *hub[2], "--quiet", "--in-place", "--budget", "60000"]
    assert main(["complete", f"{path}:2:12", *given]) == 0
    answer = capsys.readouterr().out.removesuffix("\n")
    assert path.read_text() == f"def area(r):\n    return {answer}\n" and errors("python", path.read_text()) == 0


def test_a_vocabulary_that_cannot_spell_code_is_said(tmp_path):
    model = dc.load(str(tmp_path), **build("bert", tmp_path))
    with pytest.raises(dc.VocabularyError, match="can't write code: no token .* spells byte"):
        complete("x = \n", 4, "python", model)
