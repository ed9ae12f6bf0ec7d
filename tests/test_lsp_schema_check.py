"""What is wrong with a JSON Schema, and where."""

import json
import random

import pytest

pytest.importorskip("lsprotocol", reason="the [lsp] extra is not installed")

from dgemma_lsp.schema_check import place, problems


@pytest.mark.parametrize(
    "text, wrong, says",
    [
        ('{"type": "strin"}', '"type"', "must be one of"),
        ('{"é𝄞": 1, "properties": {"a/b": {"type": 3}}}', '"type"', "not 3"),
        ('{"allOf": [{}, {"$ref": "#/$defs/q"}]}', '"$ref"', "leads nowhere"),
        ('{"items": [1]}', "1", "must be"),
        ('{"type": "object",}', "}", "not JSON"),
        ("3", "3", "a schema must be an object"),
    ],
)
def test_an_error_is_where_the_schema_is_wrong(text, wrong, says):
    (problem,) = problems(text)
    assert says in problem.message and "(at /" not in problem.message
    if says != "not JSON":
        assert text[problem.start : problem.end] == wrong


def test_a_good_schema_has_none():
    assert problems('{"type": "object", "properties": {"a": {"type": "integer"}}}') == []


def test_every_pointer_leads_to_its_key_or_element():
    rng = random.Random(0)

    def some(depth):
        kind = rng.randrange(5 if depth else 3)
        if kind < 3:
            return rng.choice([1, "a, ]}", 'é𝄞\\"', None, -2.5e3, True])
        if kind == 3:
            return [some(depth - 1) for _ in range(rng.randrange(4))]
        return {rng.choice(["a", "b/c", "d~e", "é", '"', "f }"]): some(depth - 1) for _ in range(rng.randrange(4))}

    def walk(value, pointer):
        if isinstance(value, dict):
            for name, part in value.items():
                to = f"{pointer}/" + name.replace("~", "~0").replace("/", "~1")
                yield to, name
                yield from walk(part, to)
        elif isinstance(value, list):
            for number, part in enumerate(value):
                yield f"{pointer}/{number}", part
                yield from walk(part, f"{pointer}/{number}")

    for _ in range(300):
        value = [some(4), {"z": some(4)}]
        text = json.dumps(value, indent=rng.choice([None, 1]), ensure_ascii=rng.random() < 0.5)
        for pointer, expected in walk(value, ""):
            start, end = place(text, pointer)
            assert json.loads(text[start:end]) == expected
