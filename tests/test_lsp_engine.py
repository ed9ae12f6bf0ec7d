"""The engine with the embedded model: what it writes is valid, whatever it is, and it stops when it is told to."""

import ast
import json
import threading
import time

import pytest

pytest.importorskip("lsprotocol", reason="the [lsp] extra is not installed")
jsonschema = pytest.importorskip("jsonschema")

from dgemma_lsp.engine import Stop, load
from test_lsp_json_holes import PERSON


@pytest.fixture(scope="module")
def engine():
    return load("embedded")


@pytest.fixture
def ask(engine, tmp_path):
    (tmp_path / "s.json").write_text(json.dumps(PERSON))

    def ask(text, do="complete", block=True, cancel=None, budget=60_000, steps=None, language="json", **more):
        start = text.index("|")
        source = text.replace("|", "")
        request = {
            "do": do,
            "path": str(tmp_path / "x.json"),
            "language": language,
            "source": source,
            "start": start,
            "end": start,
            "block": block,
            "budget": budget,
            "schemas": {},
            **more,
        }
        found = engine(request, cancel or threading.Event(), lambda *step: steps is not None and steps.append(step))
        return [source[: i["start"]] + i["text"] + source[i["end"] :] for i in found]

    return ask


@pytest.mark.parametrize(
    "text",
    [
        '{"$schema": "s.json", |}',
        '{"$schema": "s.json", "name": "Ada", "a|}',
        '{\n  "$schema": "./s.json",\n  "age": |\n, "name": "Ada", "tags": ["new"]}',
    ],
)
def test_what_is_written_at_a_cursor_makes_the_document_valid(ask, text):
    (document,) = ask(text)
    value = json.loads(document)
    del value["$schema"]
    jsonschema.validate(value, PERSON)


def test_a_line_makes_it_whole_if_it_can(ask):
    (document,) = ask('{"$schema": "s.json", "name": "Ada", "a|}', block=False)
    assert json.loads(document)["age"] >= 0
    (document,) = ask('{"$schema": "s.json", "name": "Ada", "a| oh no', block=False)
    assert document.startswith('{"$schema": "s.json", "name": "Ada", "age"')


def test_a_whole_document_for_its_schema(ask):
    (document,) = ask('|{"$schema": "s.json"}', do="json")
    value = json.loads(document.split("}\n")[0] + "}")
    assert value.pop("$schema") == "s.json"
    jsonschema.validate(value, PERSON)


def test_without_a_schema_that_is_known_it_is_json_still_and_nothing_is_made_for_it(ask):
    for text in ('{"$schema": "https://example.org/s.json", |}', '{"a": [1, |'):
        (document,) = ask(text)
        assert document.startswith(text.split("|")[0])
    json.loads(ask('{"$schema": "https://example.org/s.json", |}')[0])
    assert ask("{|}", do="json") == []


def test_at_the_deadline_the_best_so_far_is_taken(ask):
    steps = []
    (document,) = ask('{"$schema": "s.json", |}', budget=0, steps=steps)
    assert len(steps) == 1
    json.loads(document)


def test_what_is_cancelled_writes_nothing(ask):
    cancel = threading.Event()
    cancel.set()
    assert ask('{"$schema": "s.json", |}', cancel=cancel) == []


def test_a_deadline_counts_once_there_is_something_to_show():
    stop = Stop(threading.Event(), 0)
    time.sleep(0.01)
    assert not stop.is_set()
    stop.ids = [1]
    assert stop.is_set()


@pytest.mark.parametrize(
    "text, block",
    [
        ("def area(width, height):\n    return |\n", False),
        ("def area(width, height):\n    |\n", True),
        ("x = foo(|)\n", False),
    ],
)
def test_code_leaves_the_file_whole(ask, text, block):
    sources = ask(text, block=block, language="python")
    left, right = text.split("|")
    for source in sources:
        ast.parse(source)
        assert source.startswith(left.rstrip("retun")) and source.endswith(right)
        assert block or source.count("\n") == text.count("\n")
    assert sources


def test_a_language_without_a_grammar_has_no_completions(ask):
    assert ask("whatever |", language="klingon") == []
