"""The benchmark runs on a small vocabulary and its lines have what its README says."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch

import dgemma_constrain as dc
from benchmarks import engine, entropy, grammar, step
from benchmarks.cases import CASES
from benchmarks.vocabularies import generated_vocabulary

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


def test_a_grammar_gives_a_line(capsys):
    pytest.importorskip("lark")
    options = ["--grammars", "arithmetic", "--lengths", "16", "--repeat", "1", "--vocabulary-size", "4096"]
    grammar.main(options)
    out, err = capsys.readouterr()
    head, line = map(json.loads, out.splitlines())
    assert head["ids"] == 4096 and line["grammar"] == "arithmetic" and "error" not in line
    assert {"read_ms", "unfold_ms", "bytes_ms", "lift_ms", "classes", "memory_bytes"} <= line.keys()
    unfolded = [depth["states"] for depth in line["depths"] if "states" in depth]
    assert line["depth"] > 0 and unfolded == sorted(unfolded) and len(unfolded) > 2
    assert [step["masked"] for step in line["steps"]] == ["all", "half", "hole"]
    for step in line["steps"]:
        assert step["feasible"] is True and step["text_tokens"] <= 16 and 0 < step["retry"]["tries"] <= grammar.TRIES
        assert all(step[k] > 0 for k in ("canvas_ms", "feasible_ms", "allowed_ms", "best_ms"))
        for peer in head["peers"]:
            assert step[peer]["masks_ms"] > 0 and step[peer]["tokens_ms"] > 0
    assert "arithmetic" in err.splitlines()[-1]


@pytest.mark.slow
def test_holes_of_a_searched_grammar_are_counted(capsys):
    pytest.importorskip("lark")
    grammar.main(["--unknown", "1", "--grammars", "python_expression", "--vocabulary-size", "4096", "--no-peers"])
    _, *lines = map(json.loads, capsys.readouterr().out.splitlines())
    assert lines and all(line["grammar"] == "python_expression" and line["holes"] > 0 for line in lines)
    for line in lines:
        assert line["True"] + line["None"] == line["holes"] and 0 < line["median_ms"] <= line["max_ms"]


def test_entropy_counts_tokens_and_forwards():
    model = dc.load()
    free = entropy.measure(model, "nothing", "entropy=0.1", 64, 2)
    bound = entropy.measure(model, "the schema and the text", "entropy=0.1", 64, 2)
    assert bound["valid"] == bound["of"] == 2
    assert 1 <= free["tokens_per_forward"] < bound["tokens_per_forward"]


def test_a_step_gives_a_line_for_each_batch(capsys):
    small = "--batch 1 2 --length 16 --size 4096 --device cpu --repeat 1".split()
    step.main(["--cases", "email", *small])
    out, err = capsys.readouterr()
    head, *lines = map(json.loads, out.splitlines())
    assert "cpu" in head["machine"]
    shapes = [(line["device"], line["dtype"], line["batch"]) for line in lines]
    assert shapes == [("cpu", dtype, batch) for dtype in ("float32", "bfloat16") for batch in (1, 2)]
    for line in lines:
        assert all(line[k] > 0 for k in ("states", "classes", "floor_ms", "best_ms", "step_ms", "first_ms"))
        assert line["answer_memory"] == 1 and line["extra_memory"] >= 0
    assert err.count("email") == 4


def test_what_has_no_room_is_said_instead_of_measured(capsys, monkeypatch):
    monkeypatch.setattr(step, "_room", lambda device: 2**20)
    step.main("--cases email --batch 1 64 --length 16 --size 4096 --device cpu --repeat 1 --dtype bfloat16".split())
    _, one, none = map(json.loads, capsys.readouterr().out.splitlines())
    assert "step_ms" in one and none["batch"] == 64 and "are needed" in none["skipped"]


@pytest.mark.slow
def test_the_kernels_of_a_gpu_are_checked_against_the_cpu():
    """As on a machine with a GPU, on Triton's interpreter."""
    pytest.importorskip("triton")
    small = "--length 4 --size 4096 --batch 1 --repeat 1 --cases email --dtype bfloat16".split()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.step", "--device", "interpreter", "--check", *small], env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    _, check, line = map(json.loads, done.stdout.splitlines())
    assert check["check"] == "email" and check["fine"] and line["step_ms"] > 0


def test_a_check_finds_a_device_that_is_wrong(monkeypatch):
    vocabulary = generated_vocabulary(4096)
    compiled = dc.compile(CASES["email"].constraint(), vocabulary)
    logits = torch.randn(2, 16, 4096)
    assert step.check(compiled, logits, nullcontext)["fine"]
    better = type(compiled.canvas(16)).marginals

    @contextmanager
    def wrong():
        with monkeypatch.context() as patched:
            patched.setattr(type(compiled.canvas(16)), "marginals", lambda self, rows: better(self, rows) + 0.01)
            yield

    found = step.check(compiled, logits, wrong)
    assert not found["fine"] and found["marginals_off"] == pytest.approx(0.01, abs=1e-3)


def test_the_language_server_is_measured_and_keeps_step(capsys, monkeypatch):
    pytest.importorskip("pygls", reason="the [lsp] extra is not installed")
    from lsp_session import environment

    from benchmarks import lsp

    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    lsp.main(["--each", "1", "--seconds", "0.5", "--engine", "lsp_engines:prompt"])
    lines = {line["what"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert {"start", "first", "typed_through", "empty", "together", "typing", "memory"} <= lines.keys()
    assert lines["typing"]["same"] and lines["together"]["answered"] == 8


def test_real_schemas_are_judged_with_their_instances(tmp_path, capsys):
    from benchmarks import json_schema_real

    person = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"format": "date"}}}
    tests = [
        {"valid": True, "data": {"a": 1, "c": 2}},
        {"valid": True, "data": {"b": "2020-01-01", "a": 1}},  # in another order
        {"valid": True, "data": {"b": "today"}},  # valid without formats only
        {"valid": False, "data": {"a": "x"}},
    ]
    nowhere = {"$ref": "http://example.com/other.json"}
    for folder, name, schema in (("one", "person", person), ("two", "nowhere", nowhere)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.json").write_text(json.dumps({"schema": schema, "tests": tests}))
    assert json_schema_real.main([str(tmp_path), "--texts"]) == 0
    out = capsys.readouterr().out
    assert "| one | 1 | 1 | 0 | 0 | 3 | 1 | 0 | 1 | 1 | 0 | 0 |" in out
    assert "| two | 1 | 0 | 1 | 0 | 0 | 0 | 0 |" in out and "nothing is fetched" in out
    wrong = {"schema": {"type": "integer"}, "tests": [{"valid": False, "data": 1}]}
    (tmp_path / "two" / "wrong.json").write_text(json.dumps(wrong))
    assert json_schema_real.main([str(tmp_path), "--only", "wrong"]) == 1
