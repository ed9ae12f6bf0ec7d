"""Several holes of one file: filled together, the file whole with all of them."""

import pytest

import dgemma_constrain as dc
from dgemma_constrain.infill import complete
from tests.test_infill_complete import Guesses, errors

FILES = [
    ("python", "def area(|):\n    return |\n\nprint(area(2, 3))\n"),
    ("python", "x = [|\nfor i in |:\n    print(|\n"),
    ("javascript", "function f(|) {\n  return |;\n}\nf(1|)\n"),
    ("json", '{"a": |, "b": [1, |]}'),
    ("c", "int f(int a) { return |; }\nint g() { return f(|); }\n"),
]


def cut_all(text):
    pieces = text.split("|")
    places = [len("".join(pieces[:k])) for k in range(1, len(pieces))]
    return "".join(pieces), places


def filled(source, answer):
    for one in reversed(answer):
        source = source[: one.start] + one.text + source[one.end :]
    return source


@pytest.mark.parametrize("language, text", FILES, ids=lambda x: x[:12])
@pytest.mark.parametrize("knows", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_file_is_whole_with_all_of_them(language, text, knows):
    source, places = cut_all(text)
    model = dc.load() if knows else dc.Model(Guesses(dc.load().denoiser, 3.0))
    answers = complete(source, None, language, model, 300_000, spans=places, steps=1, count=2)
    assert answers, "there are fillings for each of these"
    for answer in answers:
        assert [(one.start, one.end) for one in answer] == [(place, place) for place in places]
        assert all(one.text.strip() and one.score <= 0 for one in answer)
        assert errors(language, filled(source, answer)) == 0, filled(source, answer)


def test_one_that_closes_a_bracket_is_heeded_by_the_next():
    """Whatever the first opens is closed, by it or by the second."""
    source, places = cut_all("x = f(|\ny = |\n")
    model = dc.Model(Guesses(dc.load().denoiser, 3.0))
    for answer in complete(source, None, "python", model, 300_000, spans=places, steps=1, count=3):
        assert errors("python", filled(source, answer)) == 0


def test_the_model_sees_masks_instead_of_what_is_not_written_yet():
    seen = []

    class Watched(Guesses):
        def logits(self, ids, start, stop):
            masked = ids[0] == self.vocabulary.mask_id
            seen.append((int(masked[start:stop].sum()), int(masked[stop:].sum())))
            return super().logits(ids, start, stop)

    source, places = cut_all("x = |\ny = |\nz = 3\n")
    model = dc.Model(Watched(dc.load().denoiser, 1.0))
    assert complete(source, None, "python", model, 300_000, spans=places, steps=1, count=1)
    assert seen[0][1] > 0, "the second hole is masked while the first is written"
    assert seen[-1][1] == 0, "in the end the first is written again, with the second there"


def test_spans_are_checked():
    with pytest.raises(dc.ConstraintError, match="overlap or are out of order"):
        complete("x = 1 + 2\n", None, "python", spans=[(4, 6), (5, 9)])
    with pytest.raises(dc.ConstraintError, match="overlap or are out of order"):
        complete("x = 1 + 2\n", None, "python", spans=[8, 4])
    with pytest.raises(dc.ConstraintError, match="spans is empty"):
        complete("x = 1 + 2\n", None, "python", spans=[])
    with pytest.raises(dc.ConstraintError, match="say where to write"):
        complete("x = 1 + 2\n", None, "python")
    with pytest.raises(dc.ConstraintError, match="outside the source"):
        complete("x", None, "python", spans=[0, 7])


def test_when_time_is_up_there_is_no_answer():
    assert complete("x = \ny = \n", None, "python", budget=0, spans=[4, 9]) == []
