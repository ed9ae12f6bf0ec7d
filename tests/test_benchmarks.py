"""The benchmark runs on a small vocabulary and its lines have what its README says."""

import json

import pytest

from benchmarks import engine
from benchmarks.cases import CASES

STEP = {"length", "pinned", "floor_ms", "canvas_ms", "allowed_ms", "masked_ms", "best_ms", "sample_ms", "marginals_ms"}
LINE = {
    "case",
    "kind",
    "compile_ms",
    "lift_ms",
    "byte_states",
    "states",
    "classes",
    "transitions",
    "memory_bytes",
    "steps",
}


def run(capsys, *arguments):
    engine.main(["--vocabulary-size", "4096", "--repeat", "1", "--lengths", "16", *arguments])
    out, err = capsys.readouterr()
    head, *lines = map(json.loads, out.splitlines())
    assert {"machine", "ids", "vocabulary", "vocabulary_ms", "peers"} <= head.keys() and head["ids"] == 4096
    return lines, err


def test_each_case_gives_a_line(capsys):
    lines, err = run(capsys, "--no-peers")
    assert [line["case"] for line in lines] == list(CASES)
    for line in lines:
        assert LINE <= line.keys()
        for step in line["steps"]:
            assert STEP <= step.keys() or "at least" in step["infeasible"] or "no valid" in step["infeasible"]
    assert any("infeasible" not in step for step in lines[-1]["steps"] + lines[0]["steps"])
    assert "best / floor" in err


def test_peers_answer_or_say_why_not(capsys):
    for package in ("llguidance", "xgrammar", "outlines_core"):
        pytest.importorskip(package)
    lines, err = run(capsys, "--cases", "date", "password")
    date, password = (line["peers"] for line in lines)
    assert len(date) == 3
    for name in date:
        assert date[name]["compile_ms"] > 0 and [step["length"] for step in date[name]["steps"]] == [16]
        assert all(step["masks_ms"] > 0 and step["apply_ms"] > 0 for step in date[name]["steps"])
        assert "error" in password[name]  # none of them has look-ahead
        assert f"{name}: to be compared on 1 of 2" in err
