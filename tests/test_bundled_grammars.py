"""The grammars that ship: examples in their headers, and random texts held against what defines the language.

Lark alone reads them here. Each has lines `// accepts: "…"` and `// rejects: "…"`, JSON strings. Random texts are
derived from the rules, changed a little, and kept if Lark's parser accepts them: then the reference (Python's own
parsers, SQLite, the regular expressions of the standards) must accept them too.
"""

import csv
import datetime
import io
import ipaddress
import json
import re
import sqlite3
import warnings

import lark
import pytest
from grammar_texts import BundledTexts, accepts, examples, lark_parser

from dgemma_constrain.constraints.grammar import bundled

NAMES = list(bundled())

# References: each raises where its argument is not in the language ----------------------------------------------------

# Not context-free, and said so in the headers.
PYTHON_ANYWAY = "keyword argument repeated|duplicate argument|assignment expression (cannot|within)|'named expression'|from __future__"

SEMVER = (
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-]"
    r"[0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)  # the one on semver.org
URI = re.compile(  # the shape of RFC 3986, appendix B, with the characters of appendix A
    r"[A-Za-z][A-Za-z0-9+.-]*:"
    r"(?://(?:(?:[\w.~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?(?:\[(?P<ip>[^]]*)\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)"
    r"(?::[0-9]*)?(?=[/?#]|\Z)|(?!//))"
    r"(?:[\w.~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"
    r"(?:\?(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?(?:\#(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?",
    re.ASCII,
)


def check_json(text):
    json.loads(text, parse_constant=lambda c: pytest.fail(c), strict=True)


def check_jsonl(text):
    lines = text.removesuffix("\n").split("\n")
    for line in lines:
        check_json(line)


def check_tool_call(text):
    calls = re.split(r"</tool_call>\s*", text.lstrip())
    assert calls.pop() == "" and calls
    for call in calls:
        call = json.loads(call.removeprefix("<tool_call>"))
        assert list(call) == ["name", "arguments"] and isinstance(call["arguments"], dict)


def check_csv(text):
    records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len({len(record) for record in records}) == 1


def check_python(text, mode):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            compile(text, "", mode)
    except SyntaxError as error:
        if not re.search(PYTHON_ANYWAY, str(error)):
            raise


def sqlite_dialect(text):
    """With calls and strings for what SQLite doesn't know: extract, substring with FROM and FOR, dates and intervals."""
    piece = (
        r"""(?isa)'(?:[^']|'')*'|"(?:[^"]|"")*"|\b(?:date|time|timestamp)\s+(?=')|\binterval\s+(?='[0-9]+'\s+[a-z]+)"""
        r"""|(?<=')\s+(?:year|month|day|hour|minute|second)\b|\bextract\s*\(\s*\w+\s+from\s"""
        r"""|\bsubstring\s*\(|\b(?:from|for)\b|[()]"""
    )
    written, brackets, end = [], [], 0
    for match in re.finditer(piece, text):
        written.append(text[end : match.start()])
        word, end = match[0].lower(), match.end()
        if word[0] in "'\"" or word == ")" or word in ("from", "for") and not (brackets and brackets[-1]):
            written.append(match[0])
            brackets = brackets[: len(brackets) - (word == ")")]
        elif word in ("from", "for"):
            written.append(",")
        elif word[-1] == "(" or word.startswith("extract"):
            written.append(match[0] if word[-1] == "(" else "extract(")
            brackets.append(word.startswith("substring"))
    return "".join(written) + text[end:]


def check_sql(text):
    try:
        sqlite3.connect(":memory:").execute("EXPLAIN " + sqlite_dialect(text))
    except sqlite3.Error as error:  # what it says of tables, columns and functions comes after parsing
        assert not re.search("syntax error|unrecognized token|incomplete input", str(error)), error


def check_semver(text):
    assert re.fullmatch(SEMVER, text, re.ASCII)


def check_uri(text):
    match = URI.fullmatch(text)
    assert match
    if match["ip"] is not None:
        ipaddress.IPv6Address(match["ip"])


def check_iso8601(text):
    """Dates by Python's calendar, the rest by shape; Python knows no year 0, no 24:00 and no 60th second."""
    for part in text.split("/"):
        if part[0] in "PR":
            continue
        day, _, time = part.partition("T") if not re.match(r"\d\d(:|$)", part) else ("", "", part)
        if re.fullmatch(r"\d{4}-?(\d{2}-?\d{2}|W\d{2}-?\d)", day) and day[:4] != "0000" and "W53" not in day:
            datetime.date.fromisoformat(day)
        if re.fullmatch(r"\d{4}-?\d{3}", day):
            days = 365 + (int(day[:4]) % 4 == 0 and (int(day[:4]) % 100 != 0 or int(day[:4]) % 400 == 0))
            assert 1 <= int(day[-3:]) <= days
        time = re.sub(r"[.,]\d+", "", time)
        if time and not time.startswith("24") and not re.match(r"\d\d:?59:?60", time):
            datetime.time.fromisoformat(time)


def check_cron(text):
    if text.startswith("@"):
        return
    months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
    days = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
    limits = [(0, 59, []), (0, 23, []), (1, 31, []), (1, 12, months), (0, 7, days)]
    fields = text.split()
    assert len(fields) == 5
    for field, (low, high, names) in zip(fields, limits):
        for part in field.split(","):
            span, _, step = part.partition("/")
            assert not step or 1 <= int(step) <= high
            if span != "*":
                ends = [names.index(e) + low if e in names else int(e) for e in span.split("-")]
                assert low <= ends[0] <= ends[-1] <= high and len(ends) < 3 and (not step or len(ends) == 2)


def check_markdown_table(text):
    lines = re.split(r"\r?\n", text.removesuffix("\n").removesuffix("\r"))
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    assert len(lines) > 1 and all(line[0] == line[-1] == "|" for line in lines)
    assert len({len(row) for row in cells}) == 1 and all(re.fullmatch(r"\s*:?-+:?\s*", c) for c in cells[1])


REFERENCES = {
    "arithmetic": lambda text: check_python(text.strip(), "eval"),
    "cron": check_cron,
    "csv": check_csv,
    "iso8601": check_iso8601,
    "json": check_json,
    "jsonl": check_jsonl,
    "markdown_table": check_markdown_table,
    "python_expression": lambda text: check_python(text, "eval"),
    "python_function": lambda text: check_python(text, "exec"),
    "semver": check_semver,
    "sql": check_sql,
    "tool_call": check_tool_call,
    "uri": check_uri,
}


# Tests ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_lalr_without_conflicts(name):
    lark_parser(name)


@pytest.mark.parametrize("name", NAMES)
def test_examples(name):
    assert min(len(examples(name, kind)) for kind in ("accepts", "rejects")) >= 8
    assert [t for t in examples(name, "accepts") if not accepts(name, t)] == []
    assert [t for t in examples(name, "rejects") if accepts(name, t)] == []


@pytest.mark.parametrize("name", REFERENCES)
def test_accepted_examples_pass_the_reference(name):
    for text in examples(name, "accepts"):
        REFERENCES[name](text)


def soundness(name, count, seed=0):
    found = 0
    for text in BundledTexts(name, seed).accepted(count):
        found += 1
        try:
            REFERENCES[name](text)
        except Exception as error:
            raise AssertionError(f"{name} accepts {text!r}, the reference doesn't: {error}") from error
    assert found > count / 2


@pytest.mark.parametrize("name", REFERENCES)
def test_sound(name):
    soundness(name, 25)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCES)
def test_sound_at_length(name):
    soundness(name, 1000, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_earley_accepts_what_lalr_does(name):
    """The cut into terminals that LALR finds is one of those that Earley tries."""
    parser = lark.Lark.open(str(bundled()[name]), parser="earley", lexer="dynamic")
    for text in [*examples(name, "accepts"), *BundledTexts(name, 2).accepted(20)]:
        parser.parse(text)
