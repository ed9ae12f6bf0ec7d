"""Tokens per forward and how many records are right, for entropy bounds with and without a constraint:

    python -m benchmarks.entropy [--texts people] [--count 40] [--bounds 0.01 0.1 0.3 1 3]

The embedded model reads texts into records: sentences about people, or those of `benchmarks.model records`, of which "unseen" ones
are of kinds that it never met. Under a constraint the marginals' entropies are lower than the model's own,
since what can't be is left out, so that the same bound commits more in a step. JSON lines go to stdout, a table to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys

import dgemma_constrain as dc
from benchmarks.model import KINDS as TEXTS
from benchmarks.model import PERSON, people, records, share_right
from benchmarks.table import print_rows
from dgemma_constrain.models.embedded.prompts import record_prompt

LENGTH, STEPS = 64, 64
KINDS = ("nothing", "the schema", "the schema and the text")


def constraint_for(kind: str, text: str, schema: dict) -> dc.Constraint | None:
    if kind == "nothing":
        return None
    return dc.json_schema(schema, values_from=text if kind == "the schema and the text" else None)


def examples(texts: str, count: int) -> list[tuple[str, dict, dict]]:
    """(text, schema, the record that is right)."""
    if texts == "people":
        return [(text, PERSON, facts) for text, facts in people(count, seed=0)]
    return records(texts, count, seed=0)


def measure(model: dc.Model, kind: str, schedule: str, steps: int, count: int, texts: str = "people") -> dict:
    """tokens_per_forward: of the text and its end, over the forwards that a row alone would have taken. fields: the share of
    them that are exactly right, of texts for which there is a record at all (values of some stand in no word of the text)."""
    found = examples(texts, count)
    prompts = [record_prompt(schema, text) for text, schema, _ in found]
    constraints = [constraint_for(kind, text, schema) for text, schema, _ in found]
    outputs = model.generate(prompts, constraints, LENGTH, steps, schedule=schedule)
    done = [(out, schema, facts) for out, (_, schema, facts) in zip(outputs, found) if isinstance(out, dc.Output)]
    hits = [share_right(facts, _read(out.text)) for out, _, facts in done]
    tokens = sum(model.vocabulary.text_length(out.ids) + 1 for out, _, _ in done)
    forwards = sum(len(out.trace.steps) for out, _, _ in done)
    return {
        "texts": texts,
        "constraint": kind,
        "schedule": schedule,
        "valid": sum(dc.json_schema(schema).matches(out.text) for out, schema, _ in done),
        "right": sum(map(all, hits)),
        "of": len(done),
        "fields": round(sum(map(sum, hits)) / sum(map(len, hits)), 3),
        "tokens_per_forward": round(tokens / forwards, 2),
    }


def _read(text: str):
    try:
        return json.loads(text)
    except ValueError:
        return None


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", choices=["people", *TEXTS], default="people")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--bounds", type=float, nargs="+", default=[0.01, 0.1, 0.3, 1.0, 3.0])
    args = parser.parse_args(argv)
    model, rows = dc.load(), []
    for kind in KINDS:
        for schedule, steps in [("linear", 16), *((f"entropy={bound}", STEPS) for bound in args.bounds)]:
            line = measure(model, kind, schedule, steps, args.count, args.texts)
            print(json.dumps(line), flush=True)
            rows.append(
                [str(line[key]) for key in ("constraint", "schedule", "valid", "right", "fields", "tokens_per_forward")]
            )
    print_rows(["constraint", "schedule", "valid", "right", "fields", "tokens per forward"], rows, 26, sys.stderr)


if __name__ == "__main__":
    main()
