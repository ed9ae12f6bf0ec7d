"""Files and places that nobody would wish for: an answer or a clear error, in bounded time."""

import os
import random
import signal
import subprocess
import sys
import time
import typing
from pathlib import Path

import pytest

import dgemma_constrain as dc
from dgemma_constrain.cli import main
from dgemma_constrain.infill import complete, languages
from dgemma_constrain.infill.hole import find
from dgemma_constrain.infill.judge import Judge
from dgemma_constrain.infill.parsing import OutOfTime

BROKEN = "".join(random.Random(1).choices(["(", ")", "[", "x", "=", "\n", " ", "def ", '"', ":", "}"], k=3_000_000))
GOOD = Path(typing.__file__).read_text("utf-8")
NESTED = "[" * 50_000 + "]" * 50_000
LARGE = {
    "broken": ("python", BROKEN, len(BROKEN) // 2),
    "good": ("python", f"{GOOD * 20}\nvalue = \n{GOOD * 20}", len(GOOD) * 20 + 9),
    "nested": ("json", NESTED, 50_000),
    "open": ("json", "[" * 50_000, 25_000),
    "deep": ("python", f"x = {'(' * 50_000}{')' * 50_000}\n", 50_004),
    "one line": ("javascript", "var a=1;" * 125_000, 500_004),
    "one word": ("python", "a" * 2_000_000, 1_000_000),
    "blank": ("python", " " * 1_000_000 + "\n" * 1_000_000, 1_000_000),
    "html": ("html", "<div>" * 50_000, 125_000),
}


@pytest.fixture(scope="module")
def model():
    loaded = dc.load()
    for language in ("python", "json", "javascript", "html"):
        complete("  \n", 1, language, loaded, budget=10_000, steps=1)  # what is done once a language
    return loaded


@pytest.mark.parametrize("name", LARGE)
def test_large_files_take_bounded_time(name, model):
    language, source, cursor = LARGE[name]
    began = time.process_time()
    answers = complete(source, cursor, language, model)
    assert time.process_time() - began < 5, "it took 20 s and more"
    assert all(one.start == one.end == cursor and one.text.strip() for one in answers)


def test_what_is_too_long_to_parse_is_judged_by_its_lines(model, monkeypatch):
    monkeypatch.setattr("dgemma_constrain.infill.completion.PARSING", 0)
    monkeypatch.setattr("dgemma_constrain.infill.completion.LEAST_PARSING", 300.0)
    source = BROKEN + "\n" + "x = 1\n" * 600 + "value = \n" + "y = 1\n" * 600
    cursor = source.index("value = ") + 8
    answers = complete(source, cursor, "python", model, budget=60_000, steps=1)
    assert answers and all(one.near for one in answers)
    for one in answers:
        compile("value = " + one.text, "line", "exec")
    small = complete("value = \n", 8, "python", model, budget=60_000, steps=1)
    assert small and not any(one.near for one in small)


def test_parsing_ends_when_it_is_told_to():
    began = time.process_time()
    with pytest.raises(OutOfTime):
        Judge("python", BROKEN[:500_000], BROKEN[:500_000], on_time=lambda: time.process_time() - began < 0.05)
    assert time.process_time() - began < 1
    judge = Judge("python", "x = ", "\n")
    assert judge.verdict("1").clean
    judge.on_time = lambda: False
    assert not judge.verdict("1 + " * 500 + "1").clean, "nothing is known of it"


@pytest.mark.parametrize(
    "source, cursor",
    [
        ("\fx = 1\n\f\ny = \n", 13), ("s = 'a\u2028b'\ny = \n", 14), ("x = 1\ry = \rz = 2\r", 10), ("def f(a):\n\treturn \n", 18),
        ("\ufeffx = \n", 5), ("def f(a):\r\n    return \r\n", 22), ("s = '😀'\ny = \n", 12), ("x = 1\x85y = ", 10),
    ],
    ids=["form feed", "U+2028", "CR", "tab", "BOM", "CRLF", "astral", "U+0085"],
)  # fmt: skip
def test_odd_characters_are_left_alone(source, cursor, model):
    answers = complete(source, cursor, "python", model, budget=60_000, steps=2)
    if "\x85" not in source:  # which Python takes for no line end
        assert answers
        for one in answers:
            compile(source[:cursor].removeprefix("\ufeff") + one.text + source[cursor:], "filled", "exec")


def test_several_lines_in_a_file_of_carriage_returns_end_in_them(model):
    source = "class A:\r    def f(self, x):\r        \r    y = 1\r"
    two = dc.regex(r"a = 1[\r\n] {8}b = 2")
    answers = complete(
        source, source.index("\r    y"), "python", model, budget=60_000, steps=1, several=True, constraint=two
    )
    assert [one.text for one in answers] == ["a = 1\r        b = 2"]


@pytest.mark.parametrize(
    "language", ["python", "javascript", "typescript", "c", "cpp", "rust", "java", "bash", "css", "html", "json", "go"]
)
@pytest.mark.parametrize("text", ["", "comment"])
def test_an_empty_file_and_one_of_a_comment_have_completions(language, text, model):
    marks = {"python": "# a\n", "bash": "# a\n", "css": "/* a */\n", "html": "<!-- a -->\n", "json": "// a\n"}
    source = marks.get(language, "// a\n") if text else ""
    assert complete(source, len(source), language, model, budget=60_000, steps=2)


@pytest.mark.parametrize(
    "where, why",
    [
        (-1, "outside"), (99, "outside"), ((4, 2), "ends before it begins"), ((0, 99), "outside"), ((2, 1, 0), "no place"),
        ("2", "no place"), (1.5, "no place"), ((1, None), "no place"),
    ],
)  # fmt: skip
def test_a_place_that_is_none_is_an_error(where, why):
    with pytest.raises(dc.ConstraintError, match=why):
        find("x = 1\n", where)


def test_the_end_of_a_span_may_not_cut_a_line_end():
    with pytest.raises(dc.ConstraintError, match="position 2 lies inside a line end"):
        find("a\r\nb", (0, 2))


@pytest.mark.parametrize(
    "options", [{"budget": -1}, {"budget": float("nan")}, {"count": 0}, {"steps": 0}, {"patience": -1}]
)
def test_numbers_out_of_range_are_errors(options):
    with pytest.raises(dc.ConstraintError, match=next(iter(options))):
        complete("x = \n", 4, "python", **options)


def test_a_budget_may_be_infinite(model):
    assert complete("x = \n", 4, "python", model, budget=float("inf"), steps=1)


def test_a_missing_wheel_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "tree_sitter_go", None)
    languages.capsule.cache_clear(), languages.grammar.cache_clear()
    path = tmp_path / "a.go"
    path.write_text("package a\n")
    try:
        assert main(["complete", f"{path}:1:1"]) == 2
    finally:
        languages.capsule.cache_clear(), languages.grammar.cache_clear()
    assert "pip install tree-sitter-go" in capsys.readouterr().err


@pytest.mark.parametrize(
    "data, place, why",
    [
        (bytes(range(256)), "1:1", "not UTF-8"), (b'x = "\xe9"\n', "1:1", "not UTF-8 (byte 5)"),
        ("x = \n".encode("utf-16"), "1:1", "UTF-16"), (b"x=1\n" * 3_000_000, "1:1", "are the most"),
        (b"x = \n", "1:99999999999999999999", "column"), (b"x = \n", "3:1", "line 3"), (b"x = \n", "-1:1", "FILE:LINE:COL"),
        (b"x = \n", "1:-1", "FILE:LINE:COL"), (b"x = \n", "0:1", "line 0"), (b"\xef\xbb\xbfx = \n", "1:6", "which has 4"),
    ],
)  # fmt: skip
def test_the_command_says_what_is_wrong_with_a_file_or_place(tmp_path, capsys, data, place, why):
    path = tmp_path / "app.py"
    path.write_bytes(data)
    assert main(["complete", f"{path}:{place}"]) == 2
    message = capsys.readouterr().err
    assert why in message and message.count("\n") == 1 and path.read_bytes() == data


def test_what_is_no_file_is_an_error(tmp_path, capsys):
    (tmp_path / "dir.py").mkdir()
    (tmp_path / "nowhere.py").symlink_to(tmp_path / "none")
    for name, why in (("dir.py", "directory"), ("nowhere.py", "No such file"), ("none.py", "No such file")):
        assert main(["complete", f"{tmp_path / name}:1:1"]) == 2
        assert why in capsys.readouterr().err
    for span, why in (("1:5-1:2", "ends before"), ("1:1-9:9", "line 9")):
        (tmp_path / "a.py").write_text("x = 1\n")
        assert main(["complete", str(tmp_path / "a.py"), "--span", span]) == 2
        assert why in capsys.readouterr().err


def test_a_byte_order_mark_is_no_column(tmp_path, capsys):
    path = tmp_path / "app.py"
    path.write_bytes(b"\xef\xbb\xbfvalue = \r\n")
    assert main(["complete", f"{path}:1:9", "--in-place", "--quiet", "--budget", "60000"]) == 0
    text = capsys.readouterr().out.rstrip("\n")
    assert path.read_bytes() == b"\xef\xbb\xbfvalue = " + text.encode() + b"\r\n"


def test_in_place_follows_a_link_and_spares_what_is_read_only(tmp_path, capsys):
    path, link = tmp_path / "app.py", tmp_path / "link.py"
    path.write_text("value = \n")
    link.symlink_to(path)
    command = ["complete", f"{link}:1:9", "--in-place", "--quiet", "--budget", "60000"]
    path.chmod(0o444)
    assert main(command) == 2 and "read-only" in capsys.readouterr().err
    assert path.read_text() == "value = \n" and sorted(tmp_path.iterdir()) == [path, link]
    path.chmod(0o640)
    assert main(command) == 0
    text = capsys.readouterr().out
    assert link.is_symlink() and path.read_text() == f"value = {text}" and path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_an_error(tmp_path, capsys):
    path = tmp_path / "app.py"
    path.write_text("x = \n")
    path.chmod(0)
    assert main(["complete", f"{path}:1:5"]) == 2 and "Permission denied" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", [1.0, 4.0])
def test_ctrl_c_leaves_the_file_whole(tmp_path, seconds):
    path = tmp_path / "app.py"
    source = "x = 1\n" * 3000 + "value = \n"
    path.write_text(source)
    code = "import sys; from dgemma_constrain.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "complete", f"{path}:3001:9", "--in-place", "--budget", "60000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    now = path.read_text()
    assert now == source or now.startswith(source[:-1]) and now.endswith("\n")  # not yet, or as a whole
    assert list(tmp_path.iterdir()) == [path] and b"Traceback" not in err
