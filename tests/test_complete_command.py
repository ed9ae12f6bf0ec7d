"""`dgemma complete`: places in files, what it prints where, files changed in place."""

import json

import pytest

from dgemma_constrain.cli import main


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "app.py"
    path.write_bytes(b"def area(r):\r\n    return \r\n")
    return path


def test_the_best_goes_to_stdout_and_the_picture_to_stderr(file, capsys):
    assert main(["complete", f"{file}:2:12", "--budget", "60000"]) == 0
    out, err = capsys.readouterr()
    assert out.strip() and "return ▁\n" in err and "1.   " in err and out.strip() in err


def test_as_json_they_come_with_places(file, capsys):
    assert main(["complete", f"{file}:2:12", "--json", "--quiet", "--budget", "60000"]) == 0
    out, err = capsys.readouterr()
    answers = [json.loads(line) for line in out.splitlines()]
    assert err == "" and len(answers) > 1 and {one["start"] for one in answers} == {25}


def test_in_place_changes_the_hole_alone(file, capsys):
    assert main(["complete", str(file), "--span", "1:10-1:11", "--in-place", "--budget", "60000"]) == 0
    new = capsys.readouterr().out.rstrip("\n")
    assert file.read_bytes() == b"def area(" + new.encode() + b"):\r\n    return \r\n"


def test_several_spans_and_all_markers_are_filled_together(tmp_path, capsys):
    path = tmp_path / "app.py"
    path.write_text("def area(TODO):\n    return TODO\n")
    assert main(["complete", str(path), "--all", "--marker", "TODO", "--in-place", "--budget", "90000"]) == 0
    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert path.read_text() == f"def area({first}):\n    return {second}\n" and err.count("▁") == 2
    spans = ["--span", "1:10-1:10", "--span", "2:12-2:12"]
    path.write_text("def area():\n    return \n")
    assert main(["complete", str(path), *spans, "--json", "--quiet", "--count", "1", "--budget", "90000"]) == 0
    [answer] = map(json.loads, capsys.readouterr().out.splitlines())
    assert [one["start"] for one in answer] == [9, 23]


def test_a_regular_expression_may_be_given(file, capsys):
    assert main(["complete", f"{file}:2:12", "--regex", "r|2 [*] r", "--quiet", "--budget", "60000"]) == 0
    assert capsys.readouterr().out.strip() in ("r", "2 * r")


def test_where_nothing_is_marked_it_says_so(file, capsys):
    assert main(["complete", str(file), "--all"]) == 2
    assert "'__HOLE__' stands nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    "place, why",
    [(":9:1", "line 9 is none of"), (":1:99", "column 99"), ("", "FILE:LINE:COL"), (":1:0", "column 0")],
)
def test_places_that_are_not_there(file, capsys, place, why):
    assert main(["complete", f"{file}{place}"]) == 2
    assert why in capsys.readouterr().err


def test_what_cannot_be_completed_says_why(tmp_path, capsys):
    path = tmp_path / "x.unheard"
    path.write_text("x = ")
    assert main(["complete", f"{path}:1:5"]) == 2 and "can't be told" in capsys.readouterr().err
    path.write_bytes(b"\xff\xfe")
    assert main(["complete", f"{path}:1:1"]) == 2 and "not UTF-8" in capsys.readouterr().err
    path.write_text("x = ")
    assert main(["complete", f"{path}:1:5", "--language", "python", "--budget", "0"]) == 1
    assert "--budget" in capsys.readouterr().err
