"""The grammars that ship: examples in their headers, and random texts held against what defines the language.

Lark alone reads them here. Each has lines `// accepts: "…"` and `// rejects: "…"`, JSON strings. Random texts are derived from
the rules, changed a little, and kept if Lark's parser accepts them: then the reference (Python's own parsers, SQLite, the
regular expressions of the standards) must accept them too. Python's library is the other direction: how much of it parses.
"""

from __future__ import annotations

import ast
import csv
import datetime
import io
import ipaddress
import json
import logging
import random
import re
import sqlite3
import textwrap
import warnings
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

lark = pytest.importorskip("lark")

try:
    from re import _constants as op
    from re import _parser as regex_parser
except ImportError:  # pragma: no cover
    pytest.skip("needs the parser of Python 3.11's re", allow_module_level=True)

FOLDER = Path(__file__).parents[1] / "dgemma_constrain" / "grammars"
NAMES = sorted(path.stem for path in FOLDER.glob("*.lark"))


@cache
def grammar(name: str) -> lark.Lark:
    """Lark's parser. Lark only logs the choices between shift and reduce that it makes for an ambiguous table."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    level = lark.logger.level
    lark.logger.addHandler(handler)
    lark.logger.setLevel(logging.DEBUG)
    try:
        parser = lark.Lark.open(str(FOLDER / f"{name}.lark"), parser="lalr", lexer="contextual", debug=True)
    finally:
        lark.logger.removeHandler(handler)
        lark.logger.setLevel(level)
    assert "conflict" not in log.getvalue().lower(), log.getvalue()
    return parser


@cache
def examples(name: str, kind: str) -> list[str]:
    lines = re.findall(rf"^// {kind}: (.*)$", (FOLDER / f"{name}.lark").read_text("utf-8"), re.MULTILINE)
    return [json.loads(line) for line in lines]


def accepts(name: str, text: str) -> bool:
    try:
        grammar(name).parse(text)
    except lark.exceptions.UnexpectedInput:
        return False
    return True


# References: each raises where its argument is not in the language -----------------------------------------------------

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


def check_sql(text):
    try:
        sqlite3.connect(":memory:").execute("EXPLAIN " + text)
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


# Random texts --------------------------------------------------------------------------------------------------------


class Texts:
    """Random sentences of a grammar, and texts near them."""

    def __init__(self, name: str, seed: int = 0):
        parser = grammar(name)
        self.random = random.Random(seed)
        self.start = "start"
        self.terminals = {t.name: t.pattern for t in parser.terminals}
        self.ignored = [t for t in parser.ignore_tokens]
        self.rules: dict[str, list] = {}
        for rule in parser.rules:
            self.rules.setdefault(rule.origin.name, []).append(rule.expansion)
        self.height = {}  # of the smallest tree below a rule
        while len(self.height) < len(self.rules):
            for head, bodies in self.rules.items():
                known = [b for b in bodies if all(s.is_term or s.name in self.height for s in b)]
                if known and head not in self.height:
                    self.height[head] = min(map(self._body_height, known))
        self.literals = {t.value for t in self.terminals.values() if t.type == "str"}
        usual = [" ", "  ", "\n", "\n    ", "a", "0", "1", "-", ".", ",", '"', "'", "\\", "é", "\t", "_", "e"]
        self.snippets = [*sorted(text.strip() for text in self.literals), *usual]

    def _body_height(self, body) -> int:
        return 1 + max((self.height[s.name] for s in body if not s.is_term), default=0)

    def sentence(self, size: int = 40) -> str:
        """One derived from the rules; the shortest ways are taken once `size` rules have been used."""
        pieces: list[str] = []
        stack = [(False, self.start)]
        while stack:
            is_terminal, name = stack.pop()
            if is_terminal:
                if self.ignored and self.random.random() < 0.3:
                    skipped = self.terminal(self.random.choice(self.ignored))
                    pieces.append(skipped + "\n" * skipped.startswith(("//", "#")))  # a comment ends with its line
                pieces.append(self.terminal(name))
                continue
            bodies = self.rules[name]
            if size <= 0:
                heights = [self._body_height(b) for b in bodies]
                bodies = [b for b, h in zip(bodies, heights) if h == min(heights)]
            size -= 1
            stack.extend((s.is_term, s.name) for s in reversed(self.random.choice(bodies)))
        return "".join(pieces)

    def terminal(self, name: str) -> str:
        pattern = self.terminals[name]
        if pattern.type == "str":
            return pattern.value
        regex = pattern.to_regexp()
        tree = regex_parser.parse(regex)
        while True:  # what was drawn may be forbidden by a look-ahead, or be another terminal
            text = "".join(self._draw(item) for item in tree)
            if text not in self.literals and re.fullmatch(regex, text):
                return text

    def _draw(self, item) -> str:
        kind, value = item
        if kind is op.LITERAL:
            return chr(value)
        if kind in (op.IN, op.NOT_LITERAL, op.ANY):
            pool = "abefinorstuxzABEFNTX_0123456789 \t\n'\"\\/#{}()[]<>:;.,|-+*=!%@~&?^$é\u2028\r"
            allowed = [c for c in pool if self._in(item, ord(c))]
            if allowed and self.random.random() < 0.9:
                return self.random.choice(allowed)
            return self.random.choice([chr(c) for c in range(0x250) if self._in(item, c)])
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            least, most, body = value
            times = min(int(most), int(least) + int(self.random.expovariate(0.6)))
            return "".join(self._draw(part) for _ in range(times) for part in body)
        if kind is op.SUBPATTERN:
            return "".join(map(self._draw, value[-1]))
        if kind is op.BRANCH:
            return "".join(map(self._draw, self.random.choice(value[1])))
        assert kind is op.ASSERT_NOT, kind
        return ""

    def _in(self, item, character: int) -> bool:
        kind, value = item
        if kind is op.LITERAL:
            return character == value
        if kind is op.NOT_LITERAL:
            return character != value
        if kind is op.ANY:
            return character != 10
        if kind is op.RANGE:
            return value[0] <= character <= value[1]
        negated = value[0][0] is op.NEGATE
        return negated != any(self._in(part, character) for part in value[negated:])

    def near(self, text: str) -> str:
        """With one or two small changes."""
        for _ in range(self.random.choice([1, 1, 2])):
            i = self.random.randrange(len(text) + 1)
            j = min(len(text), i + self.random.choice([0, 1, 1, 2]))
            text = text[:i] + self.random.choice(["", self.random.choice(self.snippets)]) + text[j:]
        return text

    def accepted(self, name: str, count: int):
        """Texts that the parser accepts, from `count` sentences."""
        bases = examples(name, "accepts")
        for k in range(count):
            text = self.sentence(self.random.choice([5, 20, 40]))
            base = self.random.choice(bases)
            for candidate in (text, self.near(text), self.near(base), self.near(self.near(base))):
                if accepts(name, candidate):
                    yield candidate


# Tests ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_lalr_without_conflicts(name):
    grammar(name)


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
    for text in Texts(name, seed).accepted(name, count):
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
    parser = lark.Lark.open(str(FOLDER / f"{name}.lark"), parser="earley", lexer="dynamic")
    for text in [*examples(name, "accepts"), *list(Texts(name, 2).accepted(name, 20))]:
        parser.parse(text)


# How much of Python's library parses


@cache
def library(files: int) -> list[tuple[str, ast.Module]]:
    paths = sorted(Path(ast.__file__).parent.glob("*.py"))
    chosen = random.Random(0).sample(paths, files)
    sources = [path.read_text("utf-8", errors="replace") for path in chosen]
    return [(source, ast.parse(source)) for source in sources]


def expressions(files: int, each: int):
    """Source of expressions, whether on one line; names and constants left out."""
    for source, tree in library(files):
        nodes = [n for n in ast.walk(tree) if isinstance(n, ast.expr)]
        nodes = [n for n in nodes if not isinstance(n, (ast.Name, ast.Constant, ast.Starred, ast.Slice))]
        for node in random.Random(0).sample(nodes, min(each, len(nodes))):
            text = ast.get_source_segment(source, node)
            try:
                ast.parse(text, mode="eval")
            except SyntaxError:  # a part of an f-string, or one that needs the brackets around it
                continue
            yield text, node.lineno == node.end_lineno


def functions(files: int, each: int):
    """Source of functions, what they are by size, and why one is out of the question if it is."""
    for source, tree in library(files):
        nodes = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
        lines = source.splitlines(keepends=True)
        for node in random.Random(0).sample(nodes, min(each, len(nodes))):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            text = textwrap.dedent("".join(lines[first - 1 : node.end_lineno]))
            text += "\n" * (not text.endswith("\n"))
            try:
                ast.parse(text)
            except SyntaxError:  # dedent is not for strings
                continue
            deep = any(re.match(r" {20,}(return|raise|if|for|\w+ = )", line) for line in text.splitlines())
            yield text, "deep" if deep else "short" if text.count("\n") <= 15 else "long"


def test_python_expressions_of_the_library():
    found = Counter((one_line, accepts("python_expression", text)) for text, one_line in expressions(8, 25))
    assert found[True, True] >= 0.98 * (found[True, True] + found[True, False])


@pytest.mark.slow
def test_more_python_expressions_of_the_library():
    found = Counter((one_line, accepts("python_expression", text)) for text, one_line in expressions(60, 80))
    assert found[True, True] >= 0.99 * (found[True, True] + found[True, False])
    assert found[False, True] >= 0.9 * (found[False, True] + found[False, False])


def test_python_functions_of_the_library():
    found = Counter((size, accepts("python_function", text)) for text, size in functions(8, 12))
    assert found["short", True] >= 0.9 * (found["short", True] + found["short", False])


@pytest.mark.slow
def test_more_python_functions_of_the_library():
    found = Counter((size, accepts("python_function", text)) for text, size in functions(60, 40))
    assert found["short", True] >= 0.95 * (found["short", True] + found["short", False])
    assert found["long", True] >= 0.8 * (found["long", True] + found["long", False])
