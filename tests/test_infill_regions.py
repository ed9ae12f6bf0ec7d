"""Several holes of one file: filled together, the file whole with all of them."""

import ast

import pytest

import dgemma_constrain as dc
from benchmarks.infill_holes import Cut
from benchmarks.infill_regions import Certain, lengths
from dgemma_constrain.infill import complete
from dgemma_constrain.infill.regions import joined, kept, placeholders
from tests.test_infill_complete import Guesses, errors

FILES = [
    ("python", "def area(|):\n    return |\n\nprint(area(2, 3))\n"),
    ("python", "x = [|\nfor i in |:\n    print(|\n"),
    ("javascript", "function f(|) {\n  return |;\n}\nf(1|)\n"),
    ("json", '{"a": |, "b": [1, |]}'),
    ("c", "int f(int a) { return |; }\nint g() { return f(|); }\n"),
]


BELONGING = [  # what is cut out stands between bars; one opens what another closes
    ("python", "x = |foo(|a, b|)|\ny = 2\n"),
    ("python", 'def f():\n    |"""|Return the thing.\n    |"""|\n    return 1\n'),
    ("python", "def f(a) |-> tuple[|int, str|]|:\n    return a\n"),
    ("python", "x = |foo(|a, |[|b, c|])|\n"),
    ("javascript", "function f() |{|\n  return 1;\n|}|\nf();\n"),
    ("javascript", "g(h|(|input|)|, s);\nfoo();\n"),
    ("json", '{"a": |[|1, 2|]|, "b": 3}'),
    ("c", "int f(int a) { return |(|a + 1|)|; }\n"),
    ("go", "package a\n\nfunc f(a int) int |{|\n\treturn a\n|}|\n"),
    ("rust", "fn f() { let a = |vec![|1, 2|]|; }\n"),
    ("java", "class A { int f() |{| return 1; |}| }\n"),
    ("bash", "|if true; then|\n  echo yes\n|fi|\n"),
    ("html", "<p>|<b>|x|</b>|</p>\n"),
    ("css", "a |{| color: red; |}|\n"),
]


def cut_out(text):
    """The source without what stands between bars, the places, and the cuts."""
    parts = text.split("|")
    starts = [sum(map(len, parts[:k])) for k in range(1, len(parts), 2)]
    whole = "".join(parts)
    group = [Cut(whole[:a], b, whole[a + len(b) :], "") for a, b in zip(starts, parts[1::2])]
    source, places = joined(parts[::2], [""] * len(group))
    return source, places, group


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


@pytest.mark.parametrize("language, text", BELONGING, ids=lambda x: x[:12])
def test_one_may_begin_what_a_later_one_ends(language, text):
    """With logits that are certain of what was cut out it is the first answer, though the file is broken with a part of it."""
    source, places, group = cut_out(text)
    model = dc.Model(Certain(dc.load().denoiser))
    model.denoiser.of(group)
    with lengths(group, model.vocabulary):
        answers = complete(source, None, language, model, 300_000, spans=places, steps=1)
    assert [one.text for one in answers[0]] == [cut.middle for cut in group]
    assert all(errors(language, filled(source, answer)) == 0 for answer in answers)


@pytest.mark.slow
@pytest.mark.parametrize("language, text", BELONGING, ids=lambda x: x[:12])
def test_whatever_the_model_says_it_ends_what_it_began(language, text):
    source, places, _ = cut_out(text)
    model = dc.Model(Guesses(dc.load().denoiser, 3.0))
    answers = complete(source, None, language, model, 300_000, spans=places, steps=1)
    most = errors(language, joined(kept(source, places), placeholders(language, source, places))[0])
    assert answers and all(errors(language, filled(source, answer)) <= most for answer in answers)


def test_lines_of_code_between_holes_are_not_taken_into_a_string():
    source, places, group = cut_out('x = |"""|\ny = 2\nz = |"""|\n')
    model = dc.Model(Certain(dc.load().denoiser))
    model.denoiser.of(group)
    with lengths(group, model.vocabulary):
        answers = complete(source, None, "python", model, 300_000, spans=places, steps=1)
    for answer in answers or [pytest.fail("there are others")]:
        read = ast.parse(filled(source, answer))
        assert ["y"] in [[t.id for t in one.targets] for one in read.body if isinstance(one, ast.Assign)]


def test_files_with_old_line_ends_keep_them():
    source, places, _ = cut_out("x = |1|\ny = |2|\n".replace("\n", "\r"))
    for answer in complete(source, None, "python", budget=300_000, spans=places, steps=1) or [pytest.fail("nothing")]:
        assert errors("python", filled(source, answer).replace("\r", "\n")) == 0 and "\n" not in filled(source, answer)
