"""The JSON Schema Test Suite (draft 2020-12): what compiles must be sound; what is refused or narrowed is counted.

Read from ../shared/data next to the checkout; skipped without it.
"""

import json
import pathlib
from collections import Counter

import pytest

from dgemma_constrain.automata.dfa import compile_nfa
from dgemma_constrain.constraints.json_schema import compile_schema
from dgemma_constrain.errors import UnsupportedSchema

SUITE = pathlib.Path(__file__).parents[2] / "shared/data/json-schema-test-suite/tests/draft2020-12"
FILES = sorted(SUITE.glob("*.json"))
SPELLINGS = [{}, {"ensure_ascii": False}, {"separators": (",", ":")}, {"indent": 1}]

needs_suite = pytest.mark.skipif(not FILES, reason=f"no JSON Schema Test Suite at {SUITE}")


def outcomes(path):
    """Count, over a file's tests: right, refused (the group doesn't compile), narrowed, unsound."""
    count = Counter()
    for group in json.loads(path.read_text()):
        try:
            dfa = compile_nfa(compile_schema(group["schema"]).nfa())
        except Exception as error:
            # A schema that fits no value is an error, too; anything else must be "unsupported".
            empty = not any(test["valid"] for test in group["tests"])
            assert isinstance(error, UnsupportedSchema) or empty, (path.name, group["description"], error)
            count["refused"] += len(group["tests"])
            continue
        for test in group["tests"]:
            texts = [json.dumps(test["data"], **options) for options in SPELLINGS]
            accepted = {dfa.accepts(text) for text in texts}
            if test["valid"]:
                count["right" if accepted == {True} else "narrowed"] += 1
            else:
                count["right" if accepted == {False} else "unsound"] += 1
    return count


@needs_suite
def test_the_whole_suite():
    total = sum(map(outcomes, FILES), Counter())
    assert total["unsound"] == 0
    # A support that grows moves tests from `refused` to `right`; `narrowed` are undeclared names, values of types
    # that a schema without `type` doesn't speak of, 1.0 for 1, and other orders of names.
    assert total == {"right": 223, "narrowed": 28, "refused": 1048}


@needs_suite
def test_const_is_supported_throughout():
    assert outcomes(SUITE / "const.json")["refused"] == 0
