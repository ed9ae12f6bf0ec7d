"""The `dgemma` command: what it prints where, and how it fails. Most run in this process, over random logits."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
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
COMMANDS = ["json", "regex", "fill", "choose", "revise", "batch", "inspect"]


@pytest.fixture(autouse=True)
def random_model(monkeypatch):
    monkeypatch.setattr(dc, "load", lambda name="embedded": Model(RandomDenoiser(block=128)))
    monkeypatch.setattr(warm_up, "kernels_are_cold", lambda stage: False)


@pytest.fixture
def schema(tmp_path):
    path = tmp_path / "person.json"
    path.write_text(json.dumps(PERSON))
    return str(path)


def run(capsys, *argv):
    code = main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return code, out, err


def fails(capsys, code, *argv):
    """The one line on stderr."""
    got, out, err = run(capsys, *argv)
    assert (got, out) == (code, ""), err
    assert err.startswith("dgemma: ") and err.endswith("\n") and err.count("\n") == 1, err
    assert "Traceback" not in err
    return err


def stdin(monkeypatch, data: bytes):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def command(*argv, **options):
    return subprocess.run(
        [sys.executable, "-m", "dgemma_constrain.cli", *argv], cwd=ROOT, capture_output=True, timeout=300, **options
    )


# -- what comes out


def test_json_obeys_its_schema_and_nothing_else_is_printed(capsys, schema):
    code, out, err = run(capsys, "json", "--schema", schema, "Anna is 34.")
    assert (code, err) == (0, "")
    assert dc.json_schema(PERSON).matches(out.removesuffix("\n")) and json.loads(out).keys() == {"name", "age"}


def test_json_from_text_takes_every_value_from_the_text(capsys, schema):
    code, out, err = run(capsys, "json", "--schema", schema, "--from-text", "We met Qwzx Yzzk, who is 61.")
    assert (code, err) == (0, "")
    value = json.loads(out)
    assert value["age"] == 61 and value["name"] in "We met Qwzx Yzzk, who is 61."
    assert "/properties/age" in fails(capsys, 1, "json", "--schema", schema, "--from-text", "Nobody is here.")


def test_json_takes_the_options_of_a_schema(capsys, tmp_path):
    whole, age = tmp_path / "whole.json", tmp_path / "age.json"
    age.write_text('{"$id": "http://example.com/age", "type": "integer", "minimum": 70, "maximum": 79}')
    node = {"type": "object", "properties": {"age": {"$ref": "http://example.com/age"}, "next": {"$ref": "#"}}}
    whole.write_text(json.dumps({**node, "required": ["age"], "additionalProperties": False}))
    base = ["json", "--schema", whole, "--ref", age, "--max-depth", "0", "--property-order", "any", "Anna is 34."]
    code, out, _ = run(capsys, *base)
    assert code == 0 and 70 <= json.loads(out)["age"] <= 79
    assert "nothing is fetched" in fails(capsys, 2, "json", "--schema", whole, "x")
    age.write_text("{}")
    assert "$id" in fails(capsys, 2, *base)
    repeats = {"type": "object", "properties": {"age": {"not": {"uniqueItems": True}}}, "required": ["age"]}
    (tmp_path / "s.json").write_text(json.dumps(repeats))
    assert "equal items" in fails(capsys, 2, "json", "--schema", tmp_path / "s.json", "x")
    relaxed = run(capsys, "json", "--schema", tmp_path / "s.json", "--on-unsupported", "relax", "x")
    assert relaxed[0] == 0 or "relaxed" in relaxed[2]  # written, and then checked


def test_json_output_is_one_object_with_the_value_spelled_as_in_the_text(capsys, schema):
    code, out, err = run(
        capsys, "json", "--schema", schema, "--json", "--whitespace", "pretty", "--seed", "3", "Anna is 34."
    )
    assert (code, err, out.count("\n")) == (0, "", 1)
    record = json.loads(out)
    assert list(record) == ["text", "value", "fields", "score", "tokens", "steps", "ms"]
    assert record["value"] == json.loads(record["text"]) and "\n" in record["text"]
    assert record["steps"] > 0 and record["ms"] > 0 and record["score"] < 0
    assert 0 < record["tokens"] <= 64


def test_a_number_beyond_floats_stays_as_it_is_written(capsys, tmp_path):
    (tmp_path / "s.json").write_text('{"enum": [1e999]}')
    code, out, err = run(capsys, "json", "--schema", tmp_path / "s.json", "--json", "x")
    if code == 0:
        assert "Infinity" not in out
    else:
        assert code in (1, 2) and err.count("\n") == 1


def test_regex_fills_named_groups(capsys):
    code, out, _ = run(capsys, "regex", r"(?P<a>\d{2})-(?P<b>[x-z]+)", "hi", "--json")
    record = json.loads(out)
    assert code == 0 and re.fullmatch(r"\d{2}-[x-z]+", record["text"])
    assert record["fields"] == dict(zip("ab", record["text"].split("-"), strict=True)) and record["value"] is None


def test_options_may_stand_between_the_arguments(capsys):
    code, out, _ = run(capsys, "fill", "Dear {name}!", "--hole", "name=[A-Z][a-z]{2,5}", "name: Anna", "--steps", "4")
    assert code == 0 and re.fullmatch("Dear [A-Z][a-z]{2,5}!\n", out)


def test_a_hole_without_a_pattern_takes_any_text_and_the_prompt_is_optional(capsys):
    code, out, _ = run(capsys, "fill", "<{a}>{{", "--length", "12", "--json")
    record = json.loads(out)
    assert code == 0 and record["text"] == f"<{record['fields']['a']}>{{"


def test_what_a_grammar_warns_of_is_one_line(capsys, tmp_path):
    path = tmp_path / "some.lark"
    path.write_text('start: "a"\nother: "b"\n')
    code, out, err = run(capsys, "grammar", path)
    assert (code, out, err) == (0, "a\n", "dgemma: 'start' leads to no use of other\n")
    with pytest.warns(dc.GrammarWarning, match="leads to no use of other"):
        dc.grammar(path)


def test_a_hole_may_be_a_grammar_or_a_schema(capsys, tmp_path):
    age = tmp_path / "age.json"
    age.write_text('{"type": "integer", "minimum": 10, "maximum": 99}')
    holes = ["--hole-grammar", "v=semver", "--hole-schema", f"age={age}", "--hole", "x=[ab]"]
    code, out, _ = run(capsys, "fill", "v{v} age {age} {x}", *holes, "--json", "--steps", "4", "--length", "24")
    fields = json.loads(out)["fields"]
    assert code == 0 and json.loads(out)["text"] == f"v{fields['v']} age {fields['age']} {fields['x']}"
    assert dc.grammar("semver").matches(fields["v"]) and 10 <= int(fields["age"]) <= 99 and fields["x"] in "ab"


def test_choose_has_room_for_its_longest_choice(capsys):
    long = "q" * 150
    code, out, _ = run(capsys, "choose", long, "which?")
    assert (code, out) == (0, long + "\n")


def test_revise_keeps_the_rest_and_shows_what_changed(capsys, schema):
    text = "See Anna on Someday, or on Noday."
    code, out, err = run(
        capsys, "revise", text, "--span", "12:19", "--span", "27:32", "--regex", r"See \w+ on \w+, or on \w+\."
    )
    assert code == 0 and out.startswith("See Anna on ") and ", or on " in out and out.endswith(".\n")
    first, second = err.splitlines()
    new = re.fullmatch(r"See Anna on (\w+), or on (\w+)\.\n", out)
    assert (first, second) == (f"12:19 'Someday' -> {new[1]!r}", f"27:32 'Noday' -> {new[2]!r}")
    record = '{"name": "Anna", "age": 34}'
    code, out, err = run(capsys, "revise", record, "--span", "24:26", "--schema", schema, "--json", "--quiet")
    assert (code, err) == (0, "") and json.loads(out)["value"]["name"] == "Anna"


def test_code_of_a_model_is_run_only_where_asked(capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(dc, "load", lambda name, **more: asked.append((name, more)) or Model(RandomDenoiser()))
    for more in ([], ["--trust-remote-code"]):
        assert run(capsys, "regex", "a", "p", "--model", "some/model", *more)[0] == 0
    assert asked == [("some/model", {}), ("some/model", {"trust_remote_code": True})]


def test_the_prompt_comes_from_stdin(capsys, monkeypatch, schema):
    stdin(monkeypatch, "Ünï\n".encode())
    assert run(capsys, "choose", "yes", "no", "-")[0] == 0
    stdin(monkeypatch, json.dumps(PERSON).encode())
    assert run(capsys, "json", "--schema", "-", "x")[0] == 0


def test_same_seed_same_text(capsys):
    runs = [run(capsys, "regex", "[a-z]{20}", "x", "--seed", s, "--temperature", "1")[1] for s in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_inspect_tells_sizes(capsys, schema):
    code, out, _ = run(capsys, "inspect", "--regex", "[ab]{3}", "--json")
    facts = json.loads(out)
    assert code == 0
    assert (facts["texts"], facts["shortest"], facts["characters"]["states"]) == (8, "aaa", 4)
    assert (
        facts["tokens"]["states"] <= 4
        and facts["memory_bytes"] > 0
        and facts["compile_ms"] >= 0
        and facts["lift_ms"] >= 0
    )
    for argv in (["--schema", schema], ["--template", "{a}{b}", "--hole", "a=x"], ["--choice", "a", "--choice", "b"]):
        code, out, err = run(capsys, "inspect", *argv)
        assert (code, err) == (0, "") and "tokens" in out
    assert run(capsys, "inspect", "--regex", r"\w{400}")[0] == 0  # a number of texts that Python would not print


def test_a_trace_is_written_whole(capsys, tmp_path):
    page = tmp_path / "t.html"
    page.write_text("old")
    code, out, _ = run(capsys, "regex", "[a-z]{5}", "x", "--trace", page)
    assert code == 0 and out.strip() in page.read_text() and [f.name for f in tmp_path.iterdir()] == ["t.html"]


# -- how it fails


@pytest.mark.parametrize(
    "code, says, argv",
    [
        (1, "at least", ["regex", "a{50}", "x", "--length", "3"]),
        (1, "no text", ["regex", "(?!a)a", "x"]),
        (1, "at least", ["choose", "qqqq", "x", "--length", "2"]),
        (2, "position 1", ["regex", "a(", "x"]),
        (2, "position", ["regex", r"(a)\1", "x"]),
        (2, "position 5", ["fill", "Dear {", "x"]),
        (2, "no hole", ["fill", "Dear {a}", "--hole", "b=x", "x"]),
        (2, "twice", ["fill", "Dear {a}", "--hole", "a=x", "--hole", "a=y", "x"]),
        (2, "twice", ["fill", "Dear {a}", "--hole", "a=x", "--hole-grammar", "a=semver", "x"]),
        (2, "name=REGEX", ["fill", "Dear {a}", "--hole", "a", "x"]),
        (2, "name=GRAMMAR", ["fill", "Dear {a}", "--hole-grammar", "semver", "x"]),
        (2, "nonexistent", ["fill", "Dear {a}", "--hole-schema", "a=nonexistent", "x"]),
        (2, "infinitely many", ["fill", "{a} and {a}", "x"]),
        (2, "--nonsense", ["regex", "a", "x", "--nonsense"]),
        (2, "--steps", ["regex", "a", "x", "--steps", "0"]),
        (2, "--length", ["regex", "a", "x", "--length", "many"]),
        (2, "temperature", ["regex", "a", "x", "--temperature", "nan"]),
        (2, "unknown schedule", ["regex", "a", "x", "--schedule", "odd"]),
        (2, "PROMPT", ["regex", "a"]),
        (2, "choice", ["choose", "x"]),
        (2, "do not fit", ["regex", "a*", "x", "--length", "100000"]),
        (2, "nowhere", ["regex", "a", "x", "--trace", "/nowhere/t.html"]),
        (2, "UTF-8", ["regex", "a", "\udc80"]),
        (2, "START:END", ["revise", "abc", "--span", "1-2"]),
        (2, "--span", ["revise", "abc"]),
        (2, "within the text's 3 characters", ["revise", "abc", "--span", "2:4"]),
        (
            2,
            "one of",
            ["revise", "abc", "--span", "1:2", "--regex", "a", "--schema", str(ROOT / "examples/person.schema.json")],
        ),
        (1, "no text", ["revise", "abc", "--span", "1:2", "--regex", "[0-9]*"]),
        (2, "one of", ["inspect"]),
        (2, "one of", ["inspect", "--regex", "a", "--choice", "b"]),
        (2, "--template", ["inspect", "--regex", "a", "--hole", "b=c"]),
        (2, "nonsense", ["nonsense"]),
        (2, "nonexistent", ["json", "--schema", "nonexistent", "x"]),
        (2, "tests", ["json", "--schema", str(ROOT / "tests"), "x"]),
        (3, "states", ["regex", "(a{10000}){10000}", "x"]),
    ],
)
def test_every_error_is_one_line_and_a_code(capsys, code, says, argv):
    assert says in fails(capsys, code, *argv)


@pytest.mark.parametrize(
    "code, says, content",
    [
        (2, "not JSON", b""),
        (2, "not JSON", b"{"),
        (2, "not JSON", b'{"type": NaN}'),
        (2, "byte 2", b'{"\xff": 1}'),
        (2, "larger than 10 MB", b" " * 10_000_001),
        (3, "characters", b" " * 10_000_000),
        (3, "nested", b"[" * 100_000),
        (3, "nested", b'{"not":' * 500 + b"{}" + b"}" * 500),
        (2, "/type", b'{"type": "strange"}'),
        (2, "", b'{"type": "integer", "enum": ["a"]}'),
        (2, "not JSON", b"\x00"),
        (2, "", b"3"),
    ],
    ids=lambda v: repr(v[:12]) if isinstance(v, bytes) else str(v),
)
def test_bad_schemas(capsys, tmp_path, code, says, content):
    path = tmp_path / "schema.json"
    path.write_bytes(content)
    assert says in fails(capsys, code, "json", "--schema", path, "x")


def test_an_error_of_our_own_is_one_line_too(capsys, monkeypatch):
    monkeypatch.setattr(dc, "regex", lambda *a, **k: 1 / 0)
    assert "internal error" in fails(capsys, 4, "regex", "a", "x")


def test_a_trace_that_cannot_be_written_leaves_nothing(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(
        Path, "replace", lambda *a: (_ for _ in ()).throw(OSError(28, "No space left on device", "t.html"))
    )
    code, out, err = run(capsys, "regex", "a", "x", "--trace", tmp_path / "t.html")
    assert (code, out) == (2, "a\n") and "No space" in err and not list(tmp_path.iterdir())


def test_ctrl_c_leaves_nothing_behind(capsys, monkeypatch, tmp_path):
    def interrupted(*a):
        raise KeyboardInterrupt

    monkeypatch.setattr(RandomDenoiser, "logits", interrupted)
    assert "interrupted" in fails(capsys, 130, "regex", "a+", "x", "--trace", tmp_path / "t.html")
    assert not list(tmp_path.iterdir())


def test_the_first_use_is_announced_unless_quiet(capsys, monkeypatch):
    monkeypatch.setattr(warm_up, "kernels_are_cold", lambda stage: True)
    monkeypatch.setattr(warm_up, "warm_up", lambda report=None, stage=None: None)
    code, out, err = run(capsys, "choose", "a", "x")
    assert (code, out) == (0, "a\n") and "compiling" in err and err.count("\n") == 1
    assert run(capsys, "choose", "a", "x", "--quiet")[1:] == ("a\n", "")
    assert run(capsys, "grammar", "semver", "x")[2].count("once") == 2


# -- as a process of its own


def test_help_is_quick_and_imports_nothing_heavy():
    heavy = "torch numba numpy rich transformers tokenizers"
    for name in COMMANDS:
        script = (
            "import sys; from dgemma_constrain.cli import main; "
            f"c = main(['{name}', '--help']); print([m for m in '{heavy}'.split() if m in sys.modules], c)"
        )
        times = []
        for _ in range(3):
            began = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
            times.append(time.perf_counter() - began)
        assert done.stdout.endswith("[] 0\n") and "Example:" in done.stdout, done
        assert min(times) < 0.5, times  # about 0.1 s; the machine may be busy


def test_help_of_the_whole_tells_commands_and_exit_codes(capsys):
    for argv in ([], ["--help"]):
        code, out, err = run(capsys, *argv)
        assert (code, err) == (0, "") and "Exit codes" in out and all(name in out for name in COMMANDS)


def test_a_reader_that_goes_away_is_no_error():
    shell = f"{sys.executable} -m dgemma_constrain.cli --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() in ("0", "141") and done.stderr == ""


def test_texts_are_utf8_whatever_the_locale(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "DGEMMA_CACHE": str(tmp_path)}
    done = command("choose", "日本", "x", "--quiet", env=environment)
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, "日本\n", b"")


def test_the_embedded_model_reads_a_person(schema, tmp_path):
    done = command(
        "json",
        "--schema",
        schema,
        "--json",
        "--quiet",
        "--trace",
        str(tmp_path / "t.html"),
        "Anna Keller is 34 years old.",
    )
    assert (done.returncode, done.stderr) == (0, b"")
    record = json.loads(done.stdout)
    assert dc.json_schema(PERSON).matches(record["text"]) and "Anna" in record["value"]["name"]
    assert "Anna Keller is 34" in (tmp_path / "t.html").read_text()


def interruptible(*arguments) -> subprocess.Popen:
    """Python in a process of its own, which hears Ctrl-C even where the tests run in the background (`pytest &`)."""
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def test_ctrl_c_while_it_writes():
    process = interruptible(
        "-m", "dgemma_constrain.cli", "regex", r"[a-z ]*", "x", "--steps", "128", "--candidates", "10000"
    )
    time.sleep(6)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "dgemma: interrupted" and "Traceback" not in err


def test_ctrl_c_while_a_kernel_runs():
    busy = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)"  # minutes in C, without the interpreter's lock
    script = (
        f"import dgemma_constrain.cli as cli, dgemma_constrain.running as running, sys; running.warm_up_kernels = lambda quiet, searched=False: exec({busy!r}); "
        "sys.argv = ['dgemma', 'regex', 'a', 'x']; sys.exit(cli.main())"
    )
    process = interruptible("-c", script)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "dgemma: interrupted\n")


@pytest.mark.slow
def test_the_examples_in_the_help_run_as_they_stand(tmp_path):
    for name in ["", *COMMANDS]:
        help_text = command(*name.split(), "--help").stdout.decode()
        example = re.split(r"Examples?:\n", help_text)[1].split("\n\n")[0]
        script = f'set -e\ndgemma() {{ PYTHONPATH={ROOT} {sys.executable} -m dgemma_constrain.cli "$@" --quiet; }}\n{example}\n'
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout and not done.stderr, (name, done)


@pytest.mark.slow
def test_after_warming_up_nothing_is_left_to_compile(tmp_path, schema):
    """Everything numba compiles for an ordinary day's work, it finds in its cache."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "numba"), "DGEMMA_CACHE": str(tmp_path / "cache")}
    warm = "from dgemma_constrain.warm_up import *; print(kernels_are_cold()); warm_up(); print(kernels_are_cold())"
    work = f"""
import sys
from numba.core.registry import CPUDispatcher
from dgemma_constrain.cli import main
main(["json", "--schema", {schema!r}, "Anna is 34", "--trace", {str(tmp_path / "t.html")!r}, "--remask", "0.5"])
main(["regex", r"(?i:[a-z]{{2}}\\d|.{{50}})", "x", "--temperature", "1", "--schedule", "entropy"])
main(["fill", "{{a}} {{b}}", "x", "--hole", "a=x+"])
main(["inspect", "--choice", "a", "--choice", "ab"])
kernels = {{k for n, m in sys.modules.items() if n.startswith("dgemma_constrain") for k in vars(m).values() if isinstance(k, CPUDispatcher)}}
print(len(kernels), [k.py_func.__name__ for k in kernels if k.stats.cache_misses])
"""
    outputs = [
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True).stdout
        for script in (warm, work)
    ]
    assert outputs[0] == "True\nFalse\n"
    kernels, missed = outputs[1].splitlines()[-1].split(" ", 1)
    assert int(kernels) > 30 and missed == "[]"
