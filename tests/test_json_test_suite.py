"""Any JSON text, by grammar and by schema, against the JSON parsing test suite."""

import pytest
from json_test_suite import FOLDER, accepts_bytes, files, misjudged

import dgemma_constrain as dc

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the JSON parsing test suite isn't here")

ANY_JSON = {"grammar": lambda: dc.grammar("json"), "schema": lambda: dc.json_schema(True)}


@pytest.mark.parametrize("name", ANY_JSON)
def test_what_is_json_and_nothing_else_is_accepted(name):
    constraint = ANY_JSON[name]()
    assert constraint.depth() >= 3
    assert misjudged(accepts_bytes(constraint)) == []


def test_without_a_depth_the_grammar_judges_alike():
    """The parser behind `matches` has no depth; 100,000 open brackets are a text to it like any other."""
    constraint = dc.grammar("json")

    def accepts(data):
        try:
            return constraint.matches(data.decode())
        except UnicodeDecodeError:
            return False

    assert misjudged(accepts) == []


def test_the_whole_suite_is_judged():
    assert [len(files(kind)) for kind in "yni"] == [95, 188, 35]


def test_a_judge_that_is_wrong_is_found_out():
    assert len(misjudged(lambda data: True)) > 188 and len(misjudged(lambda data: False)) == 95
