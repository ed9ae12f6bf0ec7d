"""Schemas of real kinds on canvases over 262,144 tokens: valid instances with holes, and completions of random logits,
judged by `jsonschema` with format checking."""

import json
import random

import jsonschema
import pytest
import torch

import dgemma_constrain as dc
from benchmarks.schemas import SCHEMAS
from benchmarks.vocabularies import generated_vocabulary

INSTANCES = {
    "search request": {"query": "used bikes", "page": 2, "sort": "-date"},
    "problem details": {"type": "https://example.org/p#1", "status": 404, "detail": "Zoë\n\"no\"", "trace": ["a", {"b": 1.5}]},
    "webhook": {"event": "order_code", "at": "2026-02-28T09:30:00Z", "payload": {"id": 7, "tags": ["x", None]}},
    "patch": [{"op": "add", "path": "/a~1b/0", "value": {"c": [True]}}, {"op": "remove", "path": ""}],
    "geometry": {"type": "LineString", "coordinates": [[1, -2.5], [3e2, 0]], "bbox": [0]},
    "filter": {"and": [{"field": "age", "op": "lt", "value": 3}, {"not": {"or": [{"field": "a", "op": "eq", "value": "b"}]}}]},
    "12 conditions": {"kind": "amount_name", "id": 12, "amount_name_note": "x"},
    "either of five": {"amount_code": "n", "z": []},
}  # fmt: skip


@pytest.fixture(scope="module")
def vocabulary():
    return generated_vocabulary()


def judge(name, text):
    value = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMAS[name], format_checker=jsonschema.FormatChecker()).validate(value)
    return value


def text_of(ids, vocabulary):
    return vocabulary.decode(ids[: next((i for i, t in enumerate(ids) if t in vocabulary.eos_ids), len(ids))])


@pytest.mark.parametrize("name", INSTANCES)
def test_instances_with_holes_can_be_filled_and_every_completion_is_valid(name, vocabulary):
    compiled = dc.compile(dc.json_schema(SCHEMAS[name]), vocabulary, cache=False)
    rng, generator = random.Random(0), torch.Generator().manual_seed(0)
    for ascii_only, indent in ((True, None), (False, 1)):
        text = json.dumps(INSTANCES[name], ensure_ascii=ascii_only, indent=indent)
        judge(name, text)
        ids = [*vocabulary.encode(text), vocabulary.eos_id]
        logits = 3 * torch.randn(len(ids), len(vocabulary), generator=generator)
        for hidden in (3, len(ids) // 2, len(ids)):
            holes = set(rng.sample(range(len(ids)), hidden))
            canvas = compiled.canvas(len(ids), {i: t for i, t in enumerate(ids) if i not in holes})
            allowed = canvas.allowed()
            assert all(allowed[i, t] for i, t in enumerate(ids))
            for other in (canvas.best(logits), canvas.sample(logits, 2.0, generator)):
                judge(name, text_of(other.ids, vocabulary))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SCHEMAS if "events" not in name])
def test_completions_of_every_schema_are_valid(name, vocabulary):
    compiled = dc.compile(dc.json_schema(SCHEMAS[name]), vocabulary, cache=False)
    generator = torch.Generator().manual_seed(1)
    length = int(compiled.automaton.distance[0]) + 24
    canvas = compiled.canvas(length)
    logits = 3 * torch.randn(length, len(vocabulary), generator=generator)
    for temperature in (1.0, 3.0):
        judge(name, text_of(canvas.sample(logits, temperature, generator).ids, vocabulary))
    judge(name, text_of(canvas.best(logits).ids, vocabulary))
