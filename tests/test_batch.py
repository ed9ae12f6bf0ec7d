"""`dgemma batch`: every row is answered once, whatever happens in between."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from denoisers import RandomDenoiser

import dgemma_constrain as dc
from dgemma_constrain import warm_up
from dgemma_constrain.cli import main
from dgemma_constrain.diffusion.model import Model

ROOT = Path(__file__).parents[1]
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(autouse=True)
def denoiser(monkeypatch):
    """The denoiser that every job uses; `prompts` are those that it was asked about."""
    one = RandomDenoiser(block=128)
    one.prompts, frame = [], one.frame
    one.frame = lambda prompt: one.prompts.append(prompt) or frame(prompt)
    monkeypatch.setattr(dc, "load", lambda name="embedded": Model(one))
    monkeypatch.setattr(warm_up, "kernels_are_cold", lambda stage: False)
    return one


@pytest.fixture
def job(tmp_path, capsys):
    """job(rows, *options) → (exit code, results by line, stderr); rows None: those of the call before."""

    def run(rows, *options):
        if rows is not None:
            lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
            (tmp_path / "in.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        code = main(["batch", "--in", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl"), *options])
        out, err = capsys.readouterr()
        assert out == ""
        return code, results(tmp_path / "out.jsonl"), err

    return run


def results(path):
    """The results in a file by line; there is no line twice."""
    if not path.exists():
        return {}
    found = [json.loads(line) for line in path.read_text().splitlines()]
    by_line = {result["line"]: result for result in found}
    assert len(by_line) == len(found)
    return by_line


ROWS = [f"row {n}." for n in range(10)]
DATE = ("--regex", r"\d{4}-\d\d", "--steps", "2")


def test_every_row_is_answered_under_its_own_constraint_or_the_commands(job):
    rows = [
        "plain",
        {"prompt": "x", "id": {"any": "thing"}, "schema": PERSON},
        {"prompt": "x", "id": 7, "choices": ["left", "right"]},
        b"",
        {"prompt": "x", "grammar": "semver"},
        {"prompt": "x", "template": "Dear {name}, {what}", "holes": {"name": "[A-Z][a-z]{2,4}", "what": "[xy]{3}"}},
        {"prompt": "x", "regex": "(?P<a>[ab])[cd]", "length": 9},
        {"prompt": "x", "template": "<{a}>", "holes": {"a": {"schema": {"enum": [10, 20]}}}},
    ]
    code, found, err = job(rows, *DATE)
    assert code == 0 and sorted(found) == [1, 2, 3, 5, 6, 7, 8] and err.startswith("dgemma: 7 rows written")
    assert re.fullmatch(r"\d{4}-\d\d", found[1]["text"]) and "id" not in found[1]
    assert dc.json_schema(PERSON).matches(found[2]["text"]) and found[2]["id"] == {"any": "thing"}
    assert found[2]["value"] == json.loads(found[2]["text"])
    assert found[3]["text"] in ("left", "right") and found[3]["id"] == 7
    assert dc.grammar("semver").matches(found[5]["text"])
    assert re.fullmatch("Dear [A-Z][a-z]{2,4}, [xy]{3}", found[6]["text"]) and set(found[6]["fields"]) == {
        "name",
        "what",
    }
    assert found[7]["fields"]["a"] == found[7]["text"][0]
    assert int(found[8]["fields"]["a"]) in (10, 20)


def test_a_row_is_as_if_it_were_written_alone(job, denoiser):
    _, found, _ = job(ROWS[:4], *DATE, "--seed", "3", "--temperature", "1", "--length", "12")
    for n in range(4):
        alone = Model(denoiser).generate(ROWS[n], dc.regex(DATE[1]), 12, steps=2, seed=3, temperature=1.0)
        assert (found[n + 1]["text"], found[n + 1]["score"]) == (alone.text, pytest.approx(alone.score))


def test_values_come_from_each_rows_own_text(job):
    rows = [{"prompt": f"We met Qwz{c}, who is 6{n}.", "schema": PERSON} for n, c in enumerate("xyz")]
    code, found, _ = job(rows, "--from-text")
    assert code == 0
    for n, row in enumerate(rows):
        assert found[n + 1]["value"]["age"] in (6 * 10 + n,) and found[n + 1]["value"]["name"] in row["prompt"]


def test_a_failed_row_says_why_and_the_others_are_written(job):
    rows = [
        "fine",
        b"{",
        b'"\xff"',
        3,
        {"id": "no prompt"},
        {"prompt": "x", "shcema": {}},
        {"prompt": "x", "regex": "a", "choices": ["b"]},
        {"prompt": "x", "regex": "("},
        {"prompt": "x", "regex": 3},
        {"prompt": "x", "choices": "abc"},
        {"prompt": "x", "holes": {}},
        {"prompt": "x", "schema": {"type": "strange"}},
        {"prompt": "x", "schema": {"allOf": [{"const": 1}, {"const": 2}]}},
        {"prompt": "x", "length": 2},
        {"prompt": "x", "length": -1},
        {"prompt": "y" * 600},
        b'"\\ud800"',
        "fine too",
    ]
    code, found, err = job(rows, *DATE)
    assert code == 1 and sorted(found) == list(range(1, 19)) and '16 have an "error"' in err
    assert "text" in found[1] and "text" in found[18]
    for n, kind, says in [
        (2, "ConstraintError", "not JSON"), (3, "ConstraintError", "not JSON"), (4, "ConstraintError", "prompt"),
        (5, "ConstraintError", "prompt"), (6, "ConstraintError", "shcema"), (7, "ConstraintError", "one constraint"),
        (8, "RegexError", "position 0"), (9, "ConstraintError", "must be a string"), (10, "ConstraintError", "list of strings"),
        (11, "ConstraintError", "belongs to"), (12, "SchemaError", "/type"), (13, "SchemaError", "no value"),
        (14, "Infeasible", "at least 4 tokens"), (15, "ConstraintError", "length"), (16, "ConstraintError", "fit"),
        (17, "ConstraintError", "surrogate"),
    ]:  # fmt: skip
        assert found[n]["kind"] == kind and says in found[n]["error"], found[n]
        assert "text" not in found[n] and "\n" not in found[n]["error"]
    assert found[5]["id"] == "no prompt"


def test_without_any_constraint_a_row_fails(job):
    code, found, _ = job(["x"])
    assert code == 1 and "needs one constraint" in found[1]["error"]


def test_a_job_goes_on_where_it_was(job, denoiser, tmp_path):
    _, whole, _ = job(ROWS, *DATE, "--batch-size", "3")
    out = tmp_path / "out.jsonl"
    lines = out.read_bytes().splitlines(keepends=True)
    for kept, torn in [(0, b""), (4, b""), (4, lines[4][:30]), (7, lines[7][:-1]), (10, b"")]:
        out.write_bytes(b"".join(lines[:kept]) + torn)
        denoiser.prompts.clear()
        code, found, err = job(None, *DATE, "--batch-size", "2")
        assert (code, found) == (0, whole) and (f"{kept} were there" in err or not kept)
        assert set(denoiser.prompts) == set(ROWS[kept:])


def test_failed_rows_are_neither_done_again_nor_forgotten(job, denoiser):
    assert job(["row 0.", {"prompt": "row 1.", "length": 2}], *DATE)[0] == 1
    denoiser.prompts.clear()
    code, found, err = job(None, *DATE)
    assert code == 1 and len(found) == 2 and not denoiser.prompts and '1 have an "error"' in err


def test_results_of_other_rows_or_options_are_not_taken_for_these(job, tmp_path):
    job(ROWS, *DATE)
    before = (tmp_path / "out.jsonl").read_bytes()
    for rows, options, says in [
        (None, (*DATE, "--seed", "1"), "other options"),
        (["another", *ROWS[1:]], DATE, "row 1 was written from another prompt"),
        (ROWS[:5], DATE, "rows that the input has not"),
    ]:
        code, _, err = job(rows, *options)
        assert code == 2 and says in err and err.count("\n") == 1
    assert (tmp_path / "out.jsonl").read_bytes() == before
    for wrong in (b'{"line": 1}\n', b"text\n", b"[]\n", before[: before.index(b"\n") + 1] * 2):
        (tmp_path / "out.jsonl").write_bytes(wrong)
        code = main(["batch", "--in", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl"), *DATE])
        assert code == 2 and (tmp_path / "out.jsonl").read_bytes() == wrong


def test_a_second_process_keeps_away(job, tmp_path):
    from dgemma_constrain.batch.results import Results

    job(ROWS[:2], *DATE)
    with Results(tmp_path / "out.jsonl"):
        code, _, err = job(None, *DATE)
    assert code == 2 and "another process" in err and job(None, *DATE)[0] == 0


def test_a_disk_that_is_full_is_said_and_costs_nothing(job, tmp_path):
    """As the system says it: no write beyond so many bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        code = main(["batch", "--in", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl"), *DATE])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    written = (tmp_path / "out.jsonl").read_bytes()
    assert code == 2 and len(written) == 500
    _, found, err = job(ROWS, *DATE)
    assert sorted(found) == list(range(1, 11))
    assert (tmp_path / "out.jsonl").read_bytes().startswith(written[: written.rindex(b"\n") + 1])
    assert "out.jsonl: File too large; what was written stays" in err and err.count("\n") == 2


def test_results_go_into_a_file_only(job, tmp_path):
    os.mkfifo(tmp_path / "out.jsonl")  # as is /dev/full, which can be read for ever
    (tmp_path / "in.jsonl").write_text('"x"\n')
    assert main(["batch", "--in", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl"), *DATE]) == 2


def test_memory_that_runs_out_costs_only_the_row_that_needs_it(job, monkeypatch):
    generate, sizes = Model.generate, []

    def scarce(self, prompts, *arguments, **options):
        sizes.append(len(prompts))
        if len(prompts) > 4 or "row 3." in prompts:
            raise MemoryError
        return generate(self, prompts, *arguments, **options)

    monkeypatch.setattr(Model, "generate", scarce)
    code, found, _ = job(ROWS, *DATE)
    assert code == 1 and [n for n in found if "error" in found[n]] == [4]
    assert (found[4]["error"], found[4]["kind"]) == ("out of memory", "MemoryError") and max(sizes) == 10


def test_ctrl_c_leaves_a_file_that_can_be_gone_on_with(job, denoiser, monkeypatch):
    logits, calls = denoiser.logits, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) > 5:
            raise KeyboardInterrupt
        return logits(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(denoiser, "logits", interrupted)
        code, found, err = job(ROWS, *DATE, "--batch-size", "2")
    assert code == 130 and 0 < len(found) < 10 and len(found) % 2 == 0 and "interrupted" in err
    code, whole, _ = job(None, *DATE, "--batch-size", "2")
    assert code == 0 and sorted(whole) == list(range(1, 11)) and all(whole[n] == found[n] for n in found)


def test_usage_errors(job, monkeypatch, tmp_path):
    for options, says in [
        (("--regex", "a", "--grammar", "json"), "takes one of"),
        (("--regex", "("), "position 0"),
        (("--regex", "a", "--hole", "b=c"), "--template"),
        (("--regex", "a", "--workers", "2"), "--engine ray"),
        (("--regex", "a", "--batch-size", "0"), "--batch-size"),
    ]:
        code, found, err = job(ROWS, *options)
        assert code == 2 and says in err and err.count("\n") == 1 and not (tmp_path / "out.jsonl").exists()
    monkeypatch.setattr("dgemma_constrain.batch.command.find_spec", lambda name: None)
    code, _, err = job(ROWS, "--regex", "a", "--engine", "ray")
    assert code == 2 and "dgemma-constrain[ray]" in err


# -- with the embedded model, killed


def started(tmp_path, *options):
    """A job in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    files = "--in", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl")
    return subprocess.Popen(
        [sys.executable, "-m", "dgemma_constrain.cli", "batch", *files, *options],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(condition, process, seconds=240):
    began = time.monotonic()
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - began < seconds
        time.sleep(0.02)


def count(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


PEOPLE = [{"id": n, "prompt": f"date as YYYY-MM-DD\nIt was March {1 + n % 28}, 20{n:02}."} for n in range(40)]
FULL_DATE = ("--regex", r"\d{4}-\d\d-\d\d", "--steps", "4", "--batch-size", "2", "--length", "16", "--quiet")


def expected():
    from dgemma_constrain.models.embedded import load_embedded

    model = Model(load_embedded())
    outputs = model.generate([row["prompt"] for row in PEOPLE], dc.regex(FULL_DATE[1]), 16, steps=4)
    return {n: output.text for n, output in enumerate(outputs, 1)}


@pytest.mark.slow
def test_a_killed_job_loses_nothing_and_does_nothing_twice(tmp_path):
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PEOPLE))
    out = tmp_path / "out.jsonl"
    for least in (2, 12):
        process = started(tmp_path, *FULL_DATE)
        wait_for(lambda: count(out) >= least, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    before = out.read_bytes()
    before = before[: before.rindex(b"\n") + 1]
    assert 0 < before.count(b"\n") < len(PEOPLE)
    out.write_bytes(before + b'{"line": 39, "id": 38, "te')
    process = started(tmp_path, *FULL_DATE)
    assert process.communicate(timeout=300) == ("", "") and process.returncode == 0
    assert out.read_bytes().startswith(before)
    found = results(out)
    assert {n: result["text"] for n, result in found.items()} == expected()
    assert all(result["id"] == n - 1 for n, result in found.items())


def workers_of(pid):
    """The processes under `pid` that Ray runs an actor in."""
    parents, found = {}, []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if b"MapWorker" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass

    def descends(one):
        while one in parents and one != pid:
            one = parents[one]
        return one == pid

    return [one for one in found if descends(one)]


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("ray"), reason="Ray is not installed: pip install 'dgemma-constrain[ray]'")
def test_on_ray_a_killed_worker_costs_no_row(tmp_path, denoiser):
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PEOPLE))
    out = tmp_path / "out.jsonl"
    process = started(tmp_path, *FULL_DATE, "--engine", "ray", "--workers", "2")
    wait_for(lambda: count(out) >= 2, process)
    workers = workers_of(process.pid)
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    assert count(out) < len(PEOPLE)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    found = results(out)
    assert {n: result["text"] for n, result in found.items()} == expected()
    files = "--in", str(tmp_path / "in.jsonl"), "--out", str(out)
    assert (
        main(["batch", *files, *FULL_DATE]) == 0 and results(out) == found and not denoiser.prompts
    )  # to either engine it is done
