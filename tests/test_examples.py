"""The examples run as they stand and print what they promise."""

import json
import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_json_from_schema(capsys):
    runpy.run_path(str(EXAMPLES / "json_from_schema.py"))
    first, second = capsys.readouterr().out.rsplit("\n", 2)[:2]
    value = json.loads(first)
    assert list(value) == ["name", "age", "city"] and isinstance(value["age"], int)
    assert second == f"{value['name']} is {value['age']}"


def test_fill_a_template(capsys):
    runpy.run_path(str(EXAMPLES / "fill_a_template.py"))
    assert re.match(r"Dear [A-Z][a-z]+,\nyour order \d{5} leaves on \w+day\.\nYours, \w", capsys.readouterr().out)


def test_infill_code(capsys):
    runpy.run_path(str(EXAMPLES / "infill_code.py"))
    assert re.match(
        r"def area\(width, height\):\n    return [a-z]+.*\n\n\nprint\(area\(2, 3\)\)\n", capsys.readouterr().out
    )


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda f: f.name)
def test_every_example_says_what_it_shows(file):
    assert file.read_text().startswith('"""')
